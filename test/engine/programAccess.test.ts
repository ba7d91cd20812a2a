/**
 * A deployment with a gateway on the real Pulumi engine: keys are generated, rotated while it serves, and
 * stay secret. Each test continues from the previous one's state.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import OpenAI from "openai";
import { Agent, request } from "undici";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { deployedOf } from "../../cli/deployment/deployed";
import { deploymentOf } from "../../cli/deployment/running";
import type { ConfigInput } from "../../config/schema";
import { freePorts, listen, type Ports } from "../../dev/freePorts";
import { issueCertificate } from "../../lib/tls/issue";
import { nodeDirectory } from "../../local/directories";
import { ETCD_PASSWORD, ETCD_ROOT_PASSWORD, ETCD_USER, NATS_TOKEN } from "../../plan/programs/controlPlane";
import { API_KEYS, TLS_BUNDLE } from "../../plan/programs/gateway";
import { askEtcd, greetNats, NATS_REFUSAL } from "../controlPlane";
import { eventually } from "../eventually";
import { filesHolding, type Secrets, SeenProcesses, secretsIn } from "../secrets";
import { eachGoesOn, endOfUp, namespaced, pids, type TestProject, testProject } from "./programHarness";

let project: TestProject;
let ports: Ports;
let cluster = "";
let former = "";

const TLS = { tls: { mode: "generated" } } as const;

function configure(access: ConfigInput["access"], changes: Partial<ConfigInput> = {}): void {
  const pools = [{ role: "aggregated" as const }];
  const config = { target: "local", model: "Qwen/Qwen3-8B", pools, access, ...ports, ...changes } as const;
  project.configure("dev", namespaced(config));
}

/** The node's secrets, by name. */
const secretsOnNode = (): Record<string, string> =>
  JSON.parse(readFileSync(join(nodeDirectory(cluster, 0), "secrets.json"), "utf8"));

const up = async () => {
  const { steps } = await (await project.open("dev")).up();
  return steps.map(({ op, name }) => `${op} ${name}`).toSorted();
};
const outputs = async () => (await project.open("dev")).outputs({ showSecrets: true });

/** Runs the stack's command of curl like a user who pastes it into a shell. */
async function pasteChat(key: string): Promise<string> {
  const { curl } = deploymentOf(await outputs());
  return execFileSync("sh", ["-c", String(curl)], {
    encoding: "utf8",
    env: { ...process.env, DYNAMO_API_KEY: key },
  });
}

beforeAll(async () => {
  project = testProject("access");
  ports = await freePorts();
});
afterAll(() => project.remove());

eachGoesOn(() => project.lines);

describe("a gateway", { timeout: 120_000 }, () => {
  it("comes up, proven with the key, and answers who has it", async () => {
    configure({ gateway: true, ...TLS });
    expect(await up()).toEqual(expect.arrayContaining(["create dynamo-key-default", "create dynamo-tls"]));
    const all = await outputs();
    const { endpoint, apiKey, certificateFingerprint } = all;
    expect(endpoint).toMatch(/^https:/);
    expect(apiKey).toMatch(/^[a-z0-9]{48}$/);
    const shown: unknown = JSON.parse(await project.pulumi("dev", ["stack", "output", "--json"]));
    expect(shown).toMatchObject({ endpoint, apiKey: "[secret]" });
    expect(shown).not.toHaveProperty("apiKeys");
    former = String(apiKey);
    [cluster = ""] = deployedOf(all).topology.map((entry) => entry.cluster);
    expect(JSON.parse(await pasteChat(former)).usage.completion_tokens).toBeGreaterThan(0);
    expect(JSON.parse(await pasteChat("wrong")).error.code).toBe("invalid_api_key");
    // A client needs nothing but the stack's outputs.
    const ca = await project.pulumi("dev", ["stack", "output", "certificate", "--show-secrets"]);
    const dispatcher = new Agent({ connect: { ca } });
    const client = new OpenAI({ baseURL: `${endpoint}/v1`, apiKey: former, fetchOptions: { dispatcher } });
    expect((await client.models.list()).data).toHaveLength(1);
    const { body } = await request(`${endpoint}/health`, { dispatcher });
    expect((await body.text()).length).toBeLessThan(200);
    expect(certificateFingerprint).toMatch(/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
  });

  it("keeps every secret in files of the owner's alone: out of state, logs, command lines and other programs", () => {
    expectAllKept();
  });

  it("keeps them when an update fails", async () => {
    // A port in use: the lease fails after it has received the secrets.
    const taken = await listen(ports.ports.frontendHttp + 5);
    const frontendHttp = ports.ports.frontendHttp + 5;
    configure({ gateway: true, ...TLS }, { ports: { ...ports.ports, frontendHttp } });
    await expect(up()).rejects.toThrow();
    await new Promise((resolve) => taken?.close(resolve));
    expectAllKept();
    configure({ gateway: true, ...TLS });
    await up();
    expectAllKept();
  });

  it("changes nothing when nothing has changed", async () => {
    expect(await up()).toEqual([]);
  });

  it("takes a new key beside the old one without starting anything anew", async () => {
    const before = await pids(cluster);
    const graceUntil = new Date(Date.now() + 3_600_000).toISOString().replace(/\.\d+/, "");
    configure({ gateway: true, ...TLS, keys: ["next"], retiredKeys: [{ name: "default", graceUntil }] });
    expect(await up()).toEqual([
      "create dynamo-key-next",
      "update dynamo-main-lease",
      "update dynamo-ready-check",
    ]);
    expect(await pids(cluster)).toEqual(before);
    const { apiKey, apiKeys } = await outputs();
    expect(apiKeys).toEqual({ default: former, next: apiKey });
    expect(apiKey).not.toBe(former);
    for (const key of [former, String(apiKey)])
      expect(JSON.parse(await pasteChat(key)).usage.completion_tokens).toBeGreaterThan(0);
    expectAllKept();
    expectKept({ former });
  });

  it("forgets a key that is no longer named", async () => {
    configure({ gateway: true, ...TLS, keys: ["next"] });
    expect(await up()).toEqual([
      "delete dynamo-key-default",
      "update dynamo-main-lease",
      "update dynamo-ready-check",
    ]);
    await eventually(async () => JSON.parse(await pasteChat(former)).error?.code === "invalid_api_key", 60);
  });

  it("ends an update that renews its authority on one screen", async () => {
    const before = await outputs();
    const urns = await project.pulumi("dev", ["stack", "--show-urns"]);
    const urn = /urn:\S+::dynamo-tls\b/.exec(urns)?.[0] ?? "";
    expect(await endOfUp(project, "--replace", urn)).toContain("certificate");
    expect((await outputs())["certificate"]).not.toBe(before["certificate"]);
  });

  it("shows a certificate of one's own, set as docs/security.md says, without starting anything anew", async () => {
    const before = await pids(cluster);
    const issued = await issueCertificate("of one's own, for this test", ["llm.example.com"]);
    const [key = "", chain = ""] = issued.bundle.split(/(?=-----BEGIN CERTIFICATE)/);
    // With the chain after it: the issuer of the server's certificate.
    const fullChain = `${chain}${issued.authority}`;
    configure({ gateway: true, keys: ["next"] });
    await project.pulumi("dev", ["config", "set", "--path", "dynamo-sky:access.tls.certificate"], fullChain);
    await project.pulumi("dev", ["config", "set", "--secret", "dynamo-sky:tlsKey"], key);
    expect(await up()).toEqual([
      "delete dynamo-tls",
      "update dynamo-main-lease",
      "update dynamo-ready-check",
    ]);
    expect(await pids(cluster)).toEqual(before);
    expect(await endOfUp(project)).toContain("certificate");
    const { certificate, certificateFingerprint, endpoint, apiKey } = await outputs();
    expect(String(certificate).trim()).toBe(fullChain.trim());
    expect(certificateFingerprint).toBe(issued.fingerprint);
    expect(JSON.parse(await pasteChat(String(apiKey))).usage.completion_tokens).toBeGreaterThan(0);
    // A client that trusts the authority and uses the name needs nothing else; nginx sends the chain.
    const dispatcher = new Agent({ connect: { ca: issued.authority, servername: "llm.example.com" } });
    const client = new OpenAI({
      baseURL: `${endpoint}/v1`,
      apiKey: String(apiKey),
      fetchOptions: { dispatcher },
    });
    expect((await client.models.list()).data).toHaveLength(1);
    expectAllKept();
  });

  it("makes new passwords for another controlPlane.generation, and the former ones are refused", async () => {
    const before = secretsOnNode();
    const passwords = [ETCD_PASSWORD, ETCD_ROOT_PASSWORD, NATS_TOKEN];
    await project.pulumi("dev", ["config", "set", "--path", "dynamo-sky:controlPlane.generation", "2"]);
    const replaced = ["etcd", "etcd-root", "nats"].map((of) => `dynamo-credentials-${of}`);
    expect(await up()).toEqual([
      ...replaced.map((name) => `create-replacement ${name}`),
      ...replaced.map((name) => `delete-replaced ${name}`),
      "update dynamo-main-lease",
      "update dynamo-ready-check",
    ]);
    const after = secretsOnNode();
    expect(
      Object.keys(after)
        .filter((name) => after[name] !== before[name])
        .toSorted(),
    ).toEqual(passwords.toSorted());
    const etcd = `127.0.0.1:${ports.ports.etcdClient}`;
    const logIn = async (name: string, password = "") =>
      (await askEtcd(etcd, "auth/authenticate", { name, password })).token !== undefined;
    const greet = (token?: string) => greetNats("127.0.0.1", ports.ports.nats, { auth_token: token });
    for (const [secrets, taken] of [
      [before, false],
      [after, true],
    ] as const) {
      expect(await logIn(ETCD_USER, secrets[ETCD_PASSWORD])).toBe(taken);
      expect(await logIn("root", secrets[ETCD_ROOT_PASSWORD])).toBe(taken);
      expect(await greet(secrets[NATS_TOKEN])).toBe(taken ? "PONG" : NATS_REFUSAL);
    }
    expect(filesHolding({ former: before[NATS_TOKEN] ?? "" }, [project.directory])).toEqual([]);
    const { apiKey } = await outputs();
    expect(JSON.parse(await pasteChat(String(apiKey))).usage.completion_tokens).toBeGreaterThan(0);
    expect(await up()).toEqual([]);
  });

  it("goes, and leaves no secret behind", async () => {
    const secrets = secretsOnNode();
    expect(Object.keys(secrets)).toHaveLength(5);
    await (await project.open("dev")).destroy();
    expect(filesHolding(secrets, [project.directory])).toEqual([]);
    expect(secretsIn(project.lines.join("\n"), secrets)).toEqual([]);
    expect(SeenProcesses.now().inEnvironments(secrets)).toEqual([]);
  });
});

/** Where each secret of the node is needed, besides the node's own secrets file. */
const NEEDED: Readonly<Record<string, { readonly files: string[]; readonly programs: string[] }>> = {
  [API_KEYS]: { files: ["gateway-keys.conf"], programs: ["gateway"] },
  [TLS_BUNDLE]: { files: ["gateway-tls.pem"], programs: ["gateway"] },
  // etcd 3.4 writes authentication requests into its write-ahead log.
  [ETCD_ROOT_PASSWORD]: { files: ["0000000000000000-0000000000000000.wal"], programs: [] },
  [ETCD_PASSWORD]: {
    files: ["0000000000000000-0000000000000000.wal"],
    programs: ["aggregated-0", "frontend-0", "frontend-1"],
  },
  [NATS_TOKEN]: { files: ["nats.conf"], programs: ["aggregated-0", "frontend-0", "frontend-1"] },
};

/** Each secret of the node is where its program needs it, and nowhere else. */
function expectAllKept(): void {
  const secrets = secretsOnNode();
  expect(Object.keys(secrets).toSorted()).toEqual(Object.keys(NEEDED).toSorted());
  for (const [name, { files }] of Object.entries(NEEDED)) expectKept({ [name]: secrets[name] ?? "" }, files);
  // A rotated key is not in the environment of a gateway that was not restarted.
  const others = SeenProcesses.now()
    .inEnvironments(secrets)
    .filter(({ secret, program }) => !NEEDED[secret]?.programs.includes(program));
  expect(others).toEqual([]);
}

function expectKept(secrets: Secrets, others: readonly string[] = ["gateway-keys.conf"]): void {
  const files = filesHolding(secrets, [project.directory]);
  expect(files.map(({ path }) => basename(path)).toSorted()).toEqual([...others, "secrets.json"].toSorted());
  expect(new Set(files.map(({ mode }) => mode))).toEqual(new Set(["600"]));
  expect(secretsIn(project.lines.join("\n"), secrets)).toEqual([]);
  expect(SeenProcesses.now().inCommands(secrets)).toEqual([]);
}
