/** Secrets and units of nodes on SkyPilot, through a stand-in for ssh; the node's agent is real. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { API_KEYS } from "../../plan/programs/gateway";
import { verb as downVerb } from "../../sky/down";
import { verb as nodesVerb } from "../../sky/nodes";
import { verb as observeVerb } from "../../sky/observe";
import { verb as removeVerb } from "../../sky/remove";
import type { SkyNodesSpec } from "../../sky/spec";
import { eventually } from "../eventually";
import { processesWith } from "../processes";
import { FakeSupervisor } from "./fakeSupervisor";
import { FakeSky } from "./skyHarness";

const CLUSTER = "demo-main-abc123";
const WORKER = { name: "decode-0", role: "decode", stopSeconds: 3, secretEnv: ["HF_TOKEN"] };
const GATEWAY = { name: "gateway", role: "gateway", stopSeconds: 3, secretEnv: [API_KEYS] };
const FORMER = { [API_KEYS]: "default:former-key", HF_TOKEN: "hf_token" };

describe("nodes on SkyPilot", () => {
  const sky = new FakeSky();
  let node: FakeSupervisor;
  let running: ChildProcess;
  const held = (): unknown => JSON.parse(readFileSync(join(node.directory, "secrets.json"), "utf8"));
  const given = (secrets: Readonly<Record<string, string>>, change: Partial<SkyNodesSpec> = {}) =>
    sky.run(nodesVerb, {
      cluster: CLUSTER,
      infra: ["aws"],
      nodes: [{ rank: 0, secrets: Object.keys(FORMER) }],
      units: ["decode-0", "gateway"],
      secrets,
      endpoint: "https://127.0.0.1:8000",
      headAddress: "127.0.0.1",
      ...change,
    });

  beforeEach(async () => {
    node = new FakeSupervisor();
    node.put(WORKER);
    node.put(GATEWAY);
    writeFileSync(join(node.directory, "secrets.json"), JSON.stringify(FORMER), { mode: 0o600 });
    await node.listen();
    // A node's supervisor is found by its environment.
    const env = {
      PATH: process.env["PATH"],
      SKYPILOT_NODE_RANK: "0",
      SKYPILOT_CLUSTER_INFO: JSON.stringify({ cluster_name: CLUSTER }),
      DYNAMO_SKY_NODE_DIR: node.directory,
    };
    running = spawn("sleep", ["600"], { env, stdio: "ignore" });
    const job = { id: 1, name: "dynamo", status: "RUNNING" };
    sky.set({ clusters: { [CLUSTER]: { status: "UP", hash: "hash-1", nodes: 1, jobs: [job] } } });
  });
  afterAll(() => sky.remove());
  afterEach(() => {
    running.kill();
    node.close();
    rmSync(join(sky.env["FAKE_SKY"] ?? "", "no-ssh"), { force: true });
  });

  it("get other keys, which what runs reads again", async () => {
    const next = { ...FORMER, [API_KEYS]: "default:next-key" };
    const { error, output } = await given(next);
    expect(error).toBeUndefined();
    expect(output).toContain("nothing is started anew");
    expect(held()).toEqual(next);
    expect(statSync(join(node.directory, "secrets.json")).mode & 0o777).toBe(0o600);
    expect(node.calls).toEqual([]);
    for (const shown of [output, sky.read("ssh"), sky.read("calls")])
      expect(shown).not.toMatch(/-key|hf_token/);
  });

  it("restart the programs that have another changed secret, and no others", async () => {
    const { error, output } = await given({ ...FORMER, HF_TOKEN: "another" });
    expect(error).toBeUndefined();
    expect(output).toContain("restarting decode-0, for which a secret has changed");
    expect(output).not.toContain("restarting gateway");
    expect(node.calls).toEqual(["stopProcess", "startProcess"]);
    node.calls = [];
    await given({ ...FORMER, HF_TOKEN: "another" });
    expect(node.calls).toEqual([]);
  });

  it("lose the units that the deployment no longer has", async () => {
    const { error, output } = await given(FORMER, { units: ["gateway"] });
    expect(error).toBeUndefined();
    expect(output).toContain("stopping decode-0, which the deployment no longer has");
    expect(existsSync(node.unit("decode-0"))).toBe(false);
    expect(existsSync(node.unit("gateway"))).toBe(true);
  });

  it("are told apart from a cluster or a node that is gone when a unit is removed", async () => {
    writeFileSync(join(sky.env["FAKE_SKY"] ?? "", "no-ssh"), "");
    const unit = { cluster: CLUSTER, infra: ["aws"], unit: "decode-0", nodes: [{ rank: 0, programs: [] }] };
    const { error } = await sky.run(removeVerb, unit);
    expect(error).toContain("node 0 could not be changed; what runs on it runs on");
    expect(error).toContain("Connection refused");
    // The cluster was made anew with one node.
    expect(
      (await sky.run(removeVerb, { ...unit, nodes: [{ rank: 1, programs: [] }] })).error,
    ).toBeUndefined();
    sky.set({});
    expect((await sky.run(removeVerb, unit)).error).toBeUndefined();
  });

  it("stop what they run before their cluster is taken down, where that is asked for", async () => {
    const { error, output } = await sky.run(downVerb, { cluster: CLUSTER, infra: ["aws"], drainSeconds: 3 });
    expect(error).toBeUndefined();
    expect(output).toContain(`stopping the programs of ${CLUSTER}`);
    // Side by side: one may be removed before the other is stopped.
    const each = ["removeProcessGroup", "stopProcessGroup"].flatMap((call) => [call, call]);
    expect(node.calls.toSorted()).toEqual(each);
    expect(sky.state.clusters).toEqual({});
  });

  it("go with their cluster where they do not answer", async () => {
    writeFileSync(join(sky.env["FAKE_SKY"] ?? "", "no-ssh"), "");
    const { error, output } = await sky.run(downVerb, { cluster: CLUSTER, infra: ["aws"], drainSeconds: 3 });
    expect(error).toBeUndefined();
    expect(output).toContain("node 0 does not answer: its programs end with it");
    expect(sky.state.clusters).toEqual({});
  });

  it("tell that their task runs, before SkyPilot has told its queue", async () => {
    sky.set({ ...sky.state, queueHangs: true });
    const { error, result } = await sky.run(observeVerb, { prefix: "demo-", infra: ["aws"] });
    expect(error).toBeUndefined();
    const programs = ["decode-0", "gateway"].map((name) => expect.objectContaining({ name }));
    const nodes = [{ rank: 0, supervisor: true, programs }];
    const job = { status: "RUNNING" };
    expect(result).toEqual({ [CLUSTER]: { status: "UP", clusterHash: "hash-1", job, nodes } });
    // The question that nobody waits for ends, too.
    await eventually(() => processesWith("FAKE_SKY", sky.env["FAKE_SKY"] ?? "").length === 0, 10_000);
  });

  it("are looked up anew by SkyPilot where one of them does not answer, though the head has its queue", async () => {
    const job = { id: 1, name: "dynamo", status: "RUNNING" };
    sky.set({
      clusters: { [CLUSTER]: { status: "UP", hash: "hash-1", nodes: 2, partial: true, jobs: [job] } },
    });
    const look = async () => (await sky.run(observeVerb, { prefix: "demo-", infra: ["aws"] })).result;
    // Two that answer need no other look.
    expect(await look()).toMatchObject({ [CLUSTER]: { status: "UP" } });
    writeFileSync(join(sky.env["FAKE_SKY"] ?? "", "no-worker"), "");
    expect(await look()).toMatchObject({ [CLUSTER]: { status: "INIT" } });
    rmSync(join(sky.env["FAKE_SKY"] ?? "", "no-worker"));
  });

  it("say what ssh says and what to do, and have what they had", async () => {
    writeFileSync(join(sky.env["FAKE_SKY"] ?? "", "no-ssh"), "");
    const { error } = await given({ ...FORMER, [API_KEYS]: "default:next-key" });
    expect(error).toContain("Connection refused");
    expect(error).toContain(`see that 'ssh ${CLUSTER}' works`);
    expect(error).not.toContain("-key");
    expect(held()).toEqual(FORMER);
  });
});
