/** TLS at the gateway: certificates and pinning, with OpenAI's own client. */
import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type PeerCertificate, type SecureVersion } from "node:tls";
import { promisify } from "node:util";
import OpenAI from "openai";
import { Agent } from "undici";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { askModel } from "../../cli/chat";
import { ask } from "../../cli/pipeline/smoke";
import { proveRouting } from "../../cli/proof";
import { chatCommand } from "../../components/topology";
import { type IssuedCertificate, issueCertificate } from "../../lib/tls/issue";
import { servedCertificate } from "../../lib/tls/served";
import { API_KEYS, TLS_BUNDLE } from "../../plan/programs/gateway";
import { eventually, TestDeployment } from "./support";

const deployment = new TestDeployment(
  {
    access: { gateway: true, tls: { mode: "generated" } },
    router: { mode: "kv" },
    pools: [{ role: "aggregated", replicas: 2 }],
  },
  { discovery: "etcd", events: "nats" },
);
const { machine, name, plan } = deployment;
const endpoint = deployment.endpoint.replace("http:", "https:");
const { hostname, port } = new URL(endpoint);
const key = "k".repeat(40);
const scratch = mkdtempSync(join(tmpdir(), "tls-"));
let issued: IssuedCertificate;

const clientTrusting = (ca: string) =>
  new OpenAI({
    baseURL: `${endpoint}/v1`,
    apiKey: key,
    maxRetries: 0,
    fetchOptions: { dispatcher: new Agent({ connect: { ca } }) },
  });
const secrets = (bundle: string) => ({ [API_KEYS]: `default:${key}`, [TLS_BUNDLE]: bundle });

/** The gateway's certificate, as seen by a client. */
function shown(version?: SecureVersion): Promise<PeerCertificate> {
  return new Promise((resolve, reject) => {
    const bounds = version === undefined ? {} : { minVersion: version, maxVersion: version };
    const socket = connect(
      { host: hostname, port: Number(port), rejectUnauthorized: false, ...bounds },
      () => {
        resolve(socket.getPeerCertificate());
        socket.destroy();
      },
    );
    socket.once("error", reject);
  });
}

beforeAll(async () => {
  issued = await issueCertificate("s".repeat(48), [hostname, "localhost"]);
  deployment.secrets = secrets(issued.bundle);
  await deployment.up({ endpoint, apiKey: key, fingerprint: issued.fingerprint });
});
afterAll(() => {
  deployment.close();
  rmSync(scratch, { recursive: true, force: true });
});

describe("a generated certificate", () => {
  test("is all that OpenAI's client has to trust, for an answer and for a stream", async () => {
    const client = clientTrusting(issued.authority);
    const request = {
      model: plan.model,
      messages: [{ role: "user" as const, content: "Hello?" }],
      max_tokens: 8,
    };
    expect((await client.chat.completions.create(request)).usage?.completion_tokens).toBe(8);
    const streamed = { ...request, stream: true, stream_options: { include_usage: true } } as const;
    let pieces = 0;
    let tokens = 0;
    for await (const { choices, usage } of await client.chat.completions.create(streamed)) {
      pieces += choices.length;
      tokens = usage?.completion_tokens ?? tokens;
    }
    // Text of random tokens may be empty, and a busy frontend puts several into one piece.
    expect(pieces).toBeGreaterThan(1);
    expect(tokens).toBe(8);
  });

  test("is not taken by who does not trust it, or trusts another deployment's", async () => {
    const other = await issueCertificate("o".repeat(48), [hostname]);
    for (const client of [
      clientTrusting(other.authority),
      new OpenAI({ baseURL: `${endpoint}/v1`, apiKey: key, maxRetries: 0 }),
    ])
      await expect(client.models.list()).rejects.toThrow(OpenAI.APIConnectionError);
  });

  test("is the one whose fingerprint is told, also as openssl prints it", async () => {
    expect((await shown()).fingerprint256).toBe(issued.fingerprint);
    const printed = execFileSync("openssl", ["x509", "-noout", "-fingerprint", "-sha256"], {
      input: issued.bundle,
      encoding: "utf8",
    });
    expect(printed.toUpperCase()).toContain(issued.fingerprint);
  });

  test("passes openssl's strictest check, and its key is in no argument", () => {
    const files = ["authority", "bundle"].map((part) => join(scratch, `${part}.pem`));
    writeFileSync(files[0] ?? "", issued.authority);
    writeFileSync(files[1] ?? "", issued.bundle, { mode: 0o600 });
    const args = [
      "verify",
      "-x509_strict",
      "-purpose",
      "sslserver",
      "-verify_ip",
      hostname,
      "-CAfile",
      ...files,
    ];
    expect(execFileSync("openssl", args, { encoding: "utf8" })).toContain(": OK");
    const processes = execFileSync("ps", ["axww", "-o", "args="], { encoding: "utf8" });
    const secret = issued.bundle.split("\n")[1] ?? "";
    expect(secret.length).toBeGreaterThan(40);
    expect(processes).not.toContain(secret);
  });

  test("needs TLS 1.2 at least; plain HTTP is told so", async () => {
    await expect(shown("TLSv1.1")).rejects.toThrow();
    await expect(shown("TLSv1.2")).resolves.toHaveProperty("fingerprint256");
    const answer = await fetch(`${deployment.endpoint}/v1/models`);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ error: { code: "https_required" } });
  });

  test("is what the tools ask for before they send the key", async () => {
    const target = { ...deployment, endpoint, model: plan.model, apiKey: key, logs: deployment.logs };
    const other = (await issueCertificate("o".repeat(48), [hostname])).fingerprint;
    const running = {
      endpoint,
      model: plan.model,
      apiKey: key,
      task: "chat" as const,
      curl: undefined,
      engine: "mocker",
      logs: deployment.logs,
    };
    expect((await proveRouting({ ...target, fingerprint: issued.fingerprint })).cacheAware).toBe(true);
    await expect(proveRouting({ ...target, fingerprint: other })).rejects.toThrow("another certificate");
    const answer = await askModel({ ...running, fingerprint: issued.fingerprint }, "Hello?", () => undefined);
    expect(answer.tokens).toBeGreaterThan(0);
    await expect(askModel({ ...running, fingerprint: other }, "Hello?", () => undefined)).rejects.toThrow();
    const { signal } = new AbortController();
    expect(await ask({ ...running, fingerprint: issued.fingerprint }, signal)).toMatchObject({
      withKey: true,
      models: [plan.model],
    });
    await expect(ask({ ...running, fingerprint: other }, signal)).rejects.toThrow("another certificate");
    const unready = await machine.run(
      "ready",
      deployment.readySpec({ endpoint, apiKey: key, fingerprint: other, timeoutSeconds: 2 }),
    );
    expect(unready.stderr).toContain("it shows another certificate");
  });

  test("is asked for by the command of the stack output", async () => {
    const askByCurl = (publicKeyPin: string) =>
      promisify(execFile)("sh", ["-c", chatCommand(endpoint, plan, { asksForKey: true, publicKeyPin })], {
        env: { ...process.env, DYNAMO_API_KEY: key },
      });
    expect(JSON.parse((await askByCurl(issued.publicKeyPin)).stdout).usage.completion_tokens).toBeGreaterThan(
      0,
    );
    const { publicKeyPin } = await issueCertificate("o".repeat(48), [hostname]);
    await expect(askByCurl(publicKeyPin)).rejects.toMatchObject({ code: 90 }); // CURLE_SSL_PINNEDPUBKEYNOTMATCH
  });
});

describe("a certificate of one's own", () => {
  test("takes the generated one's place without a restart, and clients that trust it get in", async () => {
    const [keyFile, certificateFile] = ["key", "certificate"].map((part) => join(scratch, `own-${part}.pem`));
    if (keyFile === undefined || certificateFile === undefined) throw new Error("unreachable");
    const subject = ["-subj", "/CN=own", "-addext", `subjectAltName=IP:${hostname}`];
    execFileSync(
      "openssl",
      [
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-keyout",
        keyFile,
        "-out",
        certificateFile,
        ...subject,
      ],
      { stdio: "pipe" },
    );
    const certificate = readFileSync(certificateFile, "utf8");
    const before = await machine.pids(name);
    deployment.secrets = secrets(`${readFileSync(keyFile, "utf8")}${certificate}`);
    await machine.must("local lease", deployment.leaseSpec);
    const { fingerprint } = servedCertificate(certificate);
    // Until nginx's old workers have exited, one of them may still accept a connection, or close it.
    const shownNow = () => shown().then(({ fingerprint256 }) => fingerprint256, String);
    await eventually(async () => (await shownNow()) === fingerprint);
    expect(await machine.pids(name)).toEqual(before);
    const models = () =>
      clientTrusting(certificate)
        .models.list()
        .then(({ data }) => data.length, String);
    await expect.poll(models, { timeout: 10_000 }).toBe(1);
    await expect(clientTrusting(issued.authority).models.list()).rejects.toThrow(OpenAI.APIConnectionError);
  });
});
