/**
 * Issues the gateway's certificate if the user provides none. Pure: the same seed and names give the same
 * bytes, so it need not be stored, and changes only if the names do.
 */
import "reflect-metadata";
import { createHash, hkdfSync, webcrypto } from "node:crypto";
import { isIP } from "node:net";
import { p256 } from "@noble/curves/nist.js";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { fingerprintOf, publicKeyPinOf, type ServedCertificate } from "./served";

/** A certificate with its key. */
export interface IssuedCertificate extends ServedCertificate {
  /** The key and the certificate, PEM, for the server. A secret. */
  readonly bundle: string;
}

/**
 * Fixed, for reproducible bytes; another seed gives a later deployment other ones. Clients limit the validity
 * of server certificates only for public authorities.
 */
const NOT_BEFORE = new Date("2026-01-01T00:00:00Z");
const NOT_AFTER = new Date("2046-01-01T00:00:00Z");

const ECDSA = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
/**
 * Bytes from which a key of the curve is derived, with enough spare bits to make the bias negligible (FIPS
 * 186-5, A.2.1). Unit: bytes.
 */
const KEY_MATERIAL = 48;
const SERIAL_BYTES = 16;

/**
 * An authority for this deployment, which clients trust and whose key is discarded, and the server's
 * certificate signed by it: another address needs another certificate, but clients keep their trust anchor.
 *
 * @param seed Secret text with enough entropy.
 * @param names Host names and IP addresses for clients.
 */
export async function issueCertificate(seed: string, names: readonly string[]): Promise<IssuedCertificate> {
  const authority = await keyOf(seed, "authority");
  const server = await keyOf(seed, "gateway");
  const issuer = `CN=dynamo-sky ${digestOf(authority.point).toString("hex").slice(0, 8)}`;
  const [authorityCertificate, serverCertificate] = await Promise.all([
    sign(authority, {
      subject: issuer,
      issuer,
      serialNumber: serialOf("authority"),
      publicKey: authority.publicKey,
      extensions: [
        new BasicConstraintsExtension(true, 0, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
        await SubjectKeyIdentifierExtension.create(authority.publicKey),
      ],
    }),
    sign(authority, {
      subject: "CN=dynamo-sky gateway",
      issuer,
      serialNumber: serialOf(JSON.stringify(names)),
      publicKey: server.publicKey,
      extensions: await serverExtensions(authority.publicKey, server.publicKey, names),
    }),
  ]);
  return {
    authority: authorityCertificate,
    fingerprint: fingerprintOf(serverCertificate),
    publicKeyPin: publicKeyPinOf(serverCertificate),
    bundle: `${server.pem}${serverCertificate}`,
  };
}

async function serverExtensions(
  issuer: webcrypto.CryptoKey,
  key: webcrypto.CryptoKey,
  names: readonly string[],
): Promise<Extension[]> {
  return [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
    new SubjectAlternativeNameExtension(
      names.map((name) => ({ type: isIP(name) === 0 ? ("dns" as const) : ("ip" as const), value: name })),
    ),
    await SubjectKeyIdentifierExtension.create(key),
    await AuthorityKeyIdentifierExtension.create(issuer),
  ];
}

interface Key {
  readonly publicKey: webcrypto.CryptoKey;
  readonly privateKey: webcrypto.CryptoKey;
  /** The private key as a number, for signing. */
  readonly secret: Uint8Array;
  /** The public key, uncompressed. */
  readonly point: Uint8Array;
  /** The private key, PKCS 8. */
  readonly pem: string;
}

/** The key for a purpose, independent of the others. */
async function keyOf(seed: string, purpose: string): Promise<Key> {
  const material = hkdfSync("sha256", seed, "dynamo-sky", purpose, KEY_MATERIAL);
  const secret = p256.utils.randomSecretKey(new Uint8Array(material));
  const point = p256.getPublicKey(secret, false);
  const part = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64url");
  const open = { kty: "EC", crv: "P-256", x: part(point.slice(1, 33)), y: part(point.slice(33)) };
  const { subtle } = webcrypto;
  const privateKey = await subtle.importKey("jwk", { ...open, d: part(secret) }, ECDSA, true, ["sign"]);
  const publicKey = await subtle.importKey("jwk", open, ECDSA, true, ["verify"]);
  const der = Buffer.from(await subtle.exportKey("pkcs8", privateKey)).toString("base64");
  const lines = der.match(/.{1,64}/g) ?? [];
  return {
    publicKey,
    privateKey,
    secret,
    point,
    pem: ["-----BEGIN PRIVATE KEY-----", ...lines, "-----END PRIVATE KEY-----", ""].join("\n"),
  };
}

interface Unsigned {
  readonly subject: string;
  readonly issuer: string;
  readonly serialNumber: string;
  readonly publicKey: webcrypto.CryptoKey;
  readonly extensions: Extension[];
}

/** The signed certificate as PEM. */
async function sign(signer: Key, unsigned: Unsigned): Promise<string> {
  const certificate = await X509CertificateGenerator.create(
    {
      ...unsigned,
      notBefore: NOT_BEFORE,
      notAfter: NOT_AFTER,
      signingAlgorithm: ECDSA,
      signingKey: signer.privateKey,
    },
    repeatable(signer),
  );
  return `${certificate.toString("pem")}\n`;
}

/** Node's WebCrypto with deterministic signatures (RFC 6979), which WebCrypto does not support. */
function repeatable({ secret }: Key): webcrypto.Crypto {
  const subtle: webcrypto.SubtleCrypto = new Proxy(webcrypto.subtle, {
    get: (target, name) => {
      if (name === "sign")
        return (_algorithm: unknown, _key: unknown, data: ArrayBuffer) => signed(data, secret);
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return new Proxy(webcrypto, {
    get: (target, name) => (name === "subtle" ? subtle : Reflect.get(target, name)),
  });
}

/** The concatenated two numbers of a signature, in WebCrypto's format. */
async function signed(data: ArrayBuffer, secret: Uint8Array): Promise<ArrayBuffer> {
  const signature = p256.sign(new Uint8Array(data), secret, { prehash: true });
  return Uint8Array.from(signature.toBytes("compact")).buffer;
}

function digestOf(content: string | Uint8Array): Buffer {
  return createHash("sha256").update(content).digest();
}

/** A positive number derived from the content. */
function serialOf(content: string): string {
  const bytes = digestOf(content).subarray(0, SERIAL_BYTES);
  return `4${bytes.toString("hex").slice(1)}`;
}
