/** The certificate that an endpoint shows, as clients recognise it. Pure. */
import { createHash, createPrivateKey, X509Certificate } from "node:crypto";

export interface ServedCertificate {
  /** What clients trust: the certificate of the authority, or the server's own where the user gave it. PEM. */
  readonly authority: string;
  /** SHA-256 of the server's certificate: `AB:CD:…`, as `openssl x509 -fingerprint -sha256` prints it. */
  readonly fingerprint: string;
  /** Digest of its public key, as curl's `--pinnedpubkey` takes it: `sha256//…`. */
  readonly publicKeyPin: string;
}

export function fingerprintOf(certificate: string): string {
  return new X509Certificate(certificate).fingerprint256;
}

export function publicKeyPinOf(certificate: string): string {
  const { publicKey } = new X509Certificate(certificate);
  const key = publicKey.export({ type: "spki", format: "der" });
  return `sha256//${createHash("sha256").update(key).digest("base64")}`;
}

/** How clients recognise a certificate of the user's own. */
export function servedCertificate(certificate: string): ServedCertificate {
  return {
    authority: certificate,
    fingerprint: fingerprintOf(certificate),
    publicKeyPin: publicKeyPinOf(certificate),
  };
}

/** What is wrong with a certificate at a time, in words; undefined when nothing is. */
export function problemOfCertificate(certificate: string, now: Date): string | undefined {
  let parsed: X509Certificate;
  try {
    parsed = new X509Certificate(certificate);
  } catch {
    return "is not a certificate in PEM";
  }
  if (new Date(parsed.validTo) < now) return `was valid until ${parsed.validTo}`;
  return new Date(parsed.validFrom) > now ? `is valid only from ${parsed.validFrom}` : undefined;
}

/** What is wrong with a certificate and its key, in words; undefined when they belong together. No value of the key is told. */
export function problemOfPair(certificate: string, key: string): string | undefined {
  try {
    const matches = new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key));
    return matches ? undefined : "is not the key of access.tls.certificate";
  } catch {
    return "is not a private key in PEM without a passphrase";
  }
}
