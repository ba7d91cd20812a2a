/**
 * A deployment with a gateway on the real Pulumi engine: keys are generated, rotated while it serves, and stay secret. Each test
 * goes on where the one before it ended.
 */
import { execFileSync } from "node:child_process";
import { statSync } from "node:fs";
import { basename, join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { ConfigInput } from "../../plan/schema";
import { freePorts, type Ports } from "../freePorts";
import { filesWith, namespaced, pids, type TestProject, testProject } from "./programHarness";

let project: TestProject;
let ports: Ports;
let cluster = "";
let former = "";

function configure(access: ConfigInput["access"]): void {
  const pools = [{ role: "aggregated" as const }];
  project.configure("dev", namespaced({ target: "local", model: "Qwen/Qwen3-8B", pools, access, ...ports }));
}

const up = async () => {
  const { steps } = await (await project.open("dev")).up();
  return steps.map(({ op, name }) => `${op} ${name}`).toSorted();
};
const outputs = async () => (await project.open("dev")).outputs({ showSecrets: true });

/** Runs the stack's `chat` output as a person would who pastes it into a shell. */
async function pasteChat(key: string): Promise<string> {
  const { chat } = await outputs();
  return execFileSync("sh", ["-c", String(chat)], {
    encoding: "utf8",
    env: { ...process.env, DYNAMO_API_KEY: key },
  });
}

beforeAll(async () => {
  project = testProject("access");
  ports = await freePorts();
});
afterAll(() => project.remove());

let failed = "";
beforeEach(() => {
  if (failed !== "") throw new Error(`not tried: it goes on from "${failed}", which failed`);
});
afterEach(({ task }) => {
  if (task.result?.state !== "fail" || failed !== "") return;
  failed = task.name;
  process.stderr.write(`${project.lines.slice(-40).join("\n")}\n`);
});

describe("a gateway", { timeout: 120_000 }, () => {
  it("comes up, proven with the key, and answers who has it", async () => {
    configure({ gateway: true });
    expect(await up()).toContain("create dynamo-key-default");
    const { endpoint, apiKey, topology, apiKeys } = await outputs();
    expect(apiKey).toMatch(/^[a-z0-9]{48}$/);
    expect(apiKeys).toBeUndefined();
    expect((await (await project.open("dev")).outputs())["apiKey"]).toBe("[secret]");
    former = String(apiKey);
    [cluster = ""] = (topology as { cluster: string }[]).map((entry) => entry.cluster);
    expect(JSON.parse(await pasteChat(former)).usage.completion_tokens).toBeGreaterThan(0);
    expect(JSON.parse(await pasteChat("wrong")).error.code).toBe("invalid_api_key");
    expect((await fetch(`${endpoint}/health`)).status).toBe(200);
  });

  it("keeps the key in files of the owner's alone: out of state, logs and command lines", () => {
    expectKept(former);
  });

  it("changes nothing when nothing has changed", async () => {
    expect(await up()).toEqual([]);
  });

  it("takes a new key beside the old one without starting anything anew", async () => {
    const before = await pids(cluster);
    const graceUntil = new Date(Date.now() + 3_600_000).toISOString().replace(/\.\d+/, "");
    configure({ gateway: true, keys: ["next"], retiredKeys: [{ name: "default", graceUntil }] });
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
    expectKept(former);
    expectKept(String(apiKey));
  });

  it("forgets a key that is no longer named", async () => {
    configure({ gateway: true, keys: ["next"] });
    expect(await up()).toEqual([
      "delete dynamo-key-default",
      "update dynamo-main-lease",
      "update dynamo-ready-check",
    ]);
    await expect.poll(async () => JSON.parse(await pasteChat(former)).error?.code).toBe("invalid_api_key");
  });

  it("goes, and leaves no key behind", async () => {
    const { apiKey } = await outputs();
    await (await project.open("dev")).destroy();
    expect(filesWith(String(apiKey), project.directory)).toEqual([]);
  });
});

function expectKept(key: string): void {
  const files = filesWith(key, project.directory);
  expect(files.map((file) => basename(file)).toSorted()).toEqual(["gateway-keys.conf", "secrets.json"]);
  expect(files.map((file) => statSync(join(project.directory, file)).mode & 0o777)).toEqual([0o600, 0o600]);
  expect(project.lines.filter((line) => line.includes(key))).toEqual([]);
  expect(execFileSync("ps", ["-eww", "-o", "args"], { encoding: "utf8" })).not.toContain(key);
}
