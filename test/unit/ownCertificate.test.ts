/** An expired certificate of the user is rejected before a cluster is created. */
import { afterEach, describe, expect, it, vi } from "vitest";
import { prepare } from "../../components/deployment";
import { issueCertificate } from "../../lib/tls/issue";
import { problemOfCertificate } from "../../lib/tls/served";

afterEach(() => vi.useRealTimers());

async function certificate(): Promise<string> {
  const { authority } = await issueCertificate("0".repeat(48), ["llm.example.com"]);
  return authority;
}

const deployed = (pem: string) =>
  prepare({
    target: "local",
    model: "Qwen/Qwen3-8B",
    controlPlane: { discovery: "file" },
    access: { gateway: true, tls: { certificate: pem } },
    tlsKey: "not looked at here",
  });

describe("a certificate of one's own", () => {
  it("has to be one, and to be valid now", async () => {
    const pem = await certificate();
    expect(problemOfCertificate(pem, new Date())).toBeUndefined();
    expect(problemOfCertificate(pem, new Date("2400-01-01"))).toMatch(/^was valid until /);
    expect(problemOfCertificate(pem, new Date("1990-01-01"))).toMatch(/^is valid only from /);
    const broken = pem.replace(/[A-Za-z0-9]{40}/, "A".repeat(40));
    expect(problemOfCertificate(broken.slice(0, 80), new Date())).toBe("is not a certificate in PEM");
  });

  it("is refused with its setting once its time is over", async () => {
    const pem = await certificate();
    expect(() => deployed(pem)).not.toThrow();
    vi.useFakeTimers({ now: new Date("2400-01-01"), toFake: ["Date"] });
    expect(() => deployed(pem)).toThrow(
      /^dynamo-sky:access\.tls\.certificate: was valid until .*Give one that/,
    );
  });
});
