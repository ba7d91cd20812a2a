/** Certificates of a deployment's programs, as nodes make them: `runtime/certificates.py`. */
import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { python } from "../runtime";

const HOUR_MS = 3_600_000;
const directory = mkdtempSync(join(tmpdir(), "certificates-"));
afterAll(() => rmSync(directory, { recursive: true }));

interface Issued {
  readonly "authority.pem": string;
  readonly "certificate.pem": string;
}

const issue = (secret: string): Issued =>
  JSON.parse(
    python("import json, sys, certificates; print(json.dumps(certificates.issue(*json.load(sys.stdin))))", [
      secret,
      ["10.0.0.2", "127.0.0.1"],
    ]),
  );

/** OpenSSL's verdict on a peer's certificate, on a node with this authority whose clock is wrong. */
function verdict(own: Issued, peer: Issued, hoursWrong: number): string {
  const [ca = "", leaf = ""] = ["ca", "leaf"].map((name) => join(directory, name));
  writeFileSync(ca, own["authority.pem"]);
  writeFileSync(leaf, peer["certificate.pem"]);
  const at = Math.round((Date.now() + hoursWrong * HOUR_MS) / 1000);
  const args = ["verify", "-x509_strict", "-verify_ip", "10.0.0.2", "-attime", String(at), "-CAfile", ca];
  try {
    for (const purpose of ["sslserver", "sslclient"])
      execFileSync("openssl", [...args, "-purpose", purpose, leaf], { stdio: "pipe" });
    return "accepted";
  } catch (error) {
    return String(error);
  }
}

it("are accepted by other nodes of the deployment, also with clocks that differ by hours or are set back", () => {
  const [own, peer] = [issue("one secret"), issue("one secret")];
  for (const hours of [0, -23, 9 * 365 * 24])
    expect([hours, verdict(own, peer, hours)]).toEqual([hours, "accepted"]);
  expect(verdict(own, peer, -25)).toContain("not yet valid");
  expect(verdict(own, peer, 11 * 365 * 24)).toContain("expired");
});

it("are refused by another deployment", () => {
  expect(verdict(issue("one secret"), issue("another"), 0)).toMatch(
    /unable to get.*issuer|signature failure/,
  );
});

it("cannot issue others, and last equally long as their authority's", () => {
  const { "authority.pem": authority, "certificate.pem": certificate } = issue("one secret");
  const [ca, leaf] = [new X509Certificate(authority), new X509Certificate(certificate)];
  expect([ca.ca, leaf.ca]).toEqual([true, false]);
  expect([leaf.validFrom, leaf.validTo]).toEqual([ca.validFrom, ca.validTo]);
  expect(leaf.subjectAltName).toBe("DNS:node.dynamo-sky.internal, IP Address:10.0.0.2, IP Address:127.0.0.1");
});
