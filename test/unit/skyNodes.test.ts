/**
 * Changed keys on SkyPilot: they are copied to a running node without a restart. `sky` and ssh are stand-ins;
 * the rest is real.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { API_KEYS, TLS_BUNDLE } from "../../plan/programs/gateway";
import { verb as launchVerb } from "../../sky/launch";
import { taskName } from "../../sky/taskName";
import { FakeSky } from "./skyHarness";

const CLUSTER = "demo-main-abc123";
const TASK = { num_nodes: 2, resources: {}, setup: "echo set up", run: "echo run" };
const FORMER = { [API_KEYS]: "default:former-key", [TLS_BUNDLE]: "former", HF_TOKEN: "hf_token" };
const NEXT = { ...FORMER, [API_KEYS]: "default:next-key,old:former-key@2027-01-01T00:00:00Z" };

describe("keys that change", () => {
  const sky = new FakeSky();
  let home: string;
  let supervisor: ChildProcess;
  const files = () => [join(home, "secrets.json"), join(home, "node0", "secrets.json")];
  const held = () => files().map((file): unknown => JSON.parse(readFileSync(file, "utf8")));
  const launch = (secrets: Readonly<Record<string, string>>) =>
    sky.run(launchVerb, { cluster: CLUSTER, infra: ["aws"], task: TASK, port: 8000, secrets });

  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), "hand-over-"));
    mkdirSync(join(home, "node0"));
    for (const file of files()) writeFileSync(file, JSON.stringify(FORMER), { mode: 0o600 });
    // A node's supervisor is found by its environment.
    const env = {
      PATH: process.env["PATH"],
      SKYPILOT_NODE_RANK: "0",
      SKYPILOT_CLUSTER_INFO: JSON.stringify({ cluster_name: CLUSTER }),
      DYNAMO_SKY_NODE_DIR: join(home, "node0"),
    };
    supervisor = spawn("sleep", ["600"], { env, stdio: "ignore" });
    const job = { id: 1, name: taskName(CLUSTER, TASK, FORMER).name, status: "RUNNING" };
    sky.set({ clusters: { [CLUSTER]: { status: "UP", hash: "hash-1", nodes: 2, jobs: [job] } } });
  });
  afterEach(() => {
    supervisor.kill();
    rmSync(home, { recursive: true, force: true });
  });

  it("reach the node that runs, and what a new start would take them from", async () => {
    const { error, output } = await launch(NEXT);
    expect(error).toBeUndefined();
    expect(output).toContain("nothing is started anew");
    expect(held()).toEqual([NEXT, NEXT]);
    for (const file of files()) expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(sky.changes).toEqual([]);
    for (const shown of [output, sky.read("ssh"), sky.read("calls")])
      expect(shown).not.toMatch(/-key|hf_token/);
  });

  it("are left alone where the node has them", async () => {
    const before = files().map((file) => statSync(file).ino);
    const { error, output } = await launch(FORMER);
    expect(error).toBeUndefined();
    expect(output).not.toContain("nothing is started anew");
    expect(files().map((file) => statSync(file).ino)).toEqual(before);
  });

  it("start the task anew when any other secret changes with them", async () => {
    const { error } = await launch({ ...NEXT, HF_TOKEN: "another" });
    expect(error).toBeUndefined();
    expect(sky.changes.map(([command]) => command)).toEqual(["cancel", "launch"]);
    expect(held()).toEqual([FORMER, FORMER]);
  });

  it("fail with what ssh says and what to do, so that the next update tries again", async () => {
    writeFileSync(join(sky.env["FAKE_SKY"] ?? "", "no-ssh"), "");
    const { error } = await launch(NEXT);
    rmSync(join(sky.env["FAKE_SKY"] ?? "", "no-ssh"));
    expect(error).toContain("the gateway's new keys could not be handed to the node that runs");
    expect(error).toContain("Connection refused");
    expect(error).toContain(`'sky cancel ${CLUSTER} --all'`);
    expect(error).not.toContain("-key");
    expect(held()).toEqual([FORMER, FORMER]);
    expect((await launch(NEXT)).error).toBeUndefined();
    expect(held()).toEqual([NEXT, NEXT]);
  });
});
