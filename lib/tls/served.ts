/** The public part of an endpoint's certificate. Pure. */
import { createHash, createPrivateKey, X509Certificate } from "node:crypto";

export interface ServedCertificate {
  /** Trust anchor for clients: the certificate of the authority, or the user's own certificate. PEM. */
  readonly authority: string;
  /**
   * SHA-256 fingerprint of the server's certificate: `AB:CD:…`, as printed by `openssl x509 -fingerprint
   * -sha256`.
   */
  readonly fingerprint: string;
  /** Digest of its public key in curl's `--pinnedpubkey` format: `sha256//…`. */
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

/** The public part of the user's own certificate. */
export function servedCertificate(certificate: string): ServedCertificate {
  return {
    authority: certificate,
    fingerprint: fingerprintOf(certificate),
    publicKeyPin: publicKeyPinOf(certificate),
  };
}

/** Describes the problem of a certificate at a given time; undefined if it is valid. */
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

/** Describes the problem of a certificate and its key; undefined if they match. Never includes the key. */
export function problemOfPair(certificate: string, key: string): string | undefined {
  try {
    const matches = new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key));
    return matches ? undefined : "is not the key of access.tls.certificate";
  } catch {
    return "is not a private key in PEM without a passphrase";
  }
}
