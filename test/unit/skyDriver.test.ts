import { existsSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { parse } from "yaml";
import { runtimeDigests } from "../../lib/runtimeFiles";
import { verb as downVerb } from "../../sky/down";
import { verb as launchVerb } from "../../sky/launch";
import { verb as leaseVerb } from "../../sky/lease";
import { verb as observeVerb } from "../../sky/observe";
import type { SkyTask } from "../../sky/spec";
import { taskName } from "../../sky/taskName";
import { CLUSTER, type FakeCluster, FakeSky, type FakeState, launchInput, nameOf, TASK } from "./skyHarness";

const SAME_SETUP = { ...TASK, run: "echo run again" };
const OTHER_SETUP = { ...TASK, setup: "echo set up otherwise" };
const leaseInput = { cluster: CLUSTER, infra: ["aws"] };

let sky: FakeSky;
beforeEach(() => {
  sky = new FakeSky();
});
afterEach(() => sky.remove());

function upWith(task: SkyTask, status = "RUNNING", more: Partial<FakeCluster> = {}): FakeState {
  const job = { id: 1, name: nameOf(task), status };
  return { clusters: { [CLUSTER]: { status: "UP", hash: "hash-1", nodes: 2, jobs: [job], ...more } } };
}

describe("sky launch", () => {
  beforeEach(() => sky.nodesAre("willing-node"));

  it("launches a new cluster, tells each stage once with the time, and returns where it is", async () => {
    const { error, output, result } = await sky.run(launchVerb, launchInput);
    expect(error).toBeUndefined();
    expect(result).toEqual({
      headAddress: "127.9.9.9",
      endpoint: "http://127.9.9.9:8000",
      clusterHash: `hash-${CLUSTER}`,
    });
    expect(sky.changes.map((args) => args.slice(0, -1))).toEqual([
      ["launch", "-y", "--detach-run", "-c", CLUSTER, "-n", nameOf(TASK)],
    ]);
    expect(parse(sky.read("tasks"))).toEqual(TASK);
    const stages = output.split("\n").map((line) => /^\[ *[\d.]+ s\] (\w+( up)?)(:|$)/.exec(line)?.[1]);
    const known = ["optimising", "provisioning", "setting up", "syncing", "starting", "ready"];
    expect(stages.filter((stage) => stage !== undefined && known.includes(stage))).toEqual(known);
    expect(output).toContain("provisioning: AWS us-east-1 (us-east-1a)");
  });

  it("gives the nodes the files that they run, of which others are another task", async () => {
    const programs = [{ name: "etcd", command: "etcd", health: "http://127.0.0.1:2379/health" }];
    const task: SkyTask = { ...TASK, run: { options: ["--standalone"], plan: { programs } } };
    const runtime = runtimeDigests();
    const { error } = await sky.run(launchVerb, { ...launchInput, task, runtime });
    expect(error).toBeUndefined();
    const { file_mounts, run } = parse(sky.read("tasks"));
    // A copy: SkyPilot would skip files listed in a `.gitignore` above an installed package.
    const { "~/.dynamo-sky/runtime": source } = file_mounts;
    expect(source.startsWith(sky.env["TMPDIR"])).toBe(true);
    expect(existsSync(source)).toBe(false);
    expect(sky.read("runtime").split("\n").toSorted()).toEqual(Object.keys(runtime).toSorted());
    for (const name of ["setup.sh", "overrides.txt", "start.py", "nginx.conf"])
      expect(Object.keys(runtime)).toContain(name);
    expect(run).toContain("start.py --standalone <<'PLAN'\nprograms:\n- name: etcd\n");
    const { name } = taskName(CLUSTER, task, {}, runtime);
    expect(sky.changes[0]).toContain(name);
    expect(taskName(CLUSTER, task, {}, { ...runtime, "launch.py": "another" }).name).not.toBe(name);
  });

  it("changes nothing when the cluster runs this very task", async () => {
    sky.set(upWith(TASK));
    const { error, output, result } = await sky.run(launchVerb, launchInput);
    expect(error).toBeUndefined();
    expect(output).toContain("nothing to start");
    expect(result).toMatchObject({ clusterHash: "hash-1" });
    expect(sky.changes).toEqual([]);
  });

  it("starts this very task again where SkyPilot says that it runs, and a node has no supervisor", async () => {
    sky.nodesAre("empty-node");
    sky.set(upWith(TASK));
    const { error, output } = await sky.run(launchVerb, launchInput);
    expect(error).toBeUndefined();
    expect(output).toContain("no supervisor runs on node 0: starting the task on the same nodes");
    expect(sky.changes.map(([command]) => command)).toEqual(["cancel", "launch"]);
  });

  it("waits for its own task that is still being set up", async () => {
    const state = upWith(TASK, "SETTING_UP");
    const [job] = state.clusters?.[CLUSTER]?.jobs ?? [];
    if (job !== undefined) job.next = ["SETTING_UP", "RUNNING"];
    sky.set(state);
    expect((await sky.run(launchVerb, launchInput)).error).toBeUndefined();
    expect(sky.changes).toEqual([]);
  });

  it("ends another task, and starts this one on the same nodes without setting them up again", async () => {
    sky.set(upWith(SAME_SETUP));
    const { error, result } = await sky.run(launchVerb, launchInput);
    expect(error).toBeUndefined();
    expect(result).toMatchObject({ clusterHash: "hash-1" });
    expect(sky.changes.map(([command]) => command)).toEqual(["cancel", "launch"]);
    expect(sky.changes[0]).toEqual(["cancel", "-y", CLUSTER, "1"]);
    expect(sky.changes[1]).toContain("--fast");
  });

  it("sets the nodes up again when that has changed, or has failed before", async () => {
    for (const state of [upWith(OTHER_SETUP), upWith(TASK, "FAILED_SETUP")]) {
      sky.set(state);
      expect((await sky.run(launchVerb, launchInput)).error).toBeUndefined();
      expect(sky.changes.at(-1)?.[0]).toBe("launch");
      expect(sky.changes.at(-1)).not.toContain("--fast");
    }
  });

  it("sets the nodes up when no job has ever got beyond that", async () => {
    sky.set(upWith(TASK, "FAILED_DRIVER"));
    expect((await sky.run(launchVerb, launchInput)).error).toBeUndefined();
    expect(sky.changes.at(-1)).not.toContain("--fast");
  });

  it("does not wait for a job that has a number only: its submitter was killed", async () => {
    sky.set(upWith(TASK, "INIT"));
    expect((await sky.run(launchVerb, launchInput)).error).toBeUndefined();
    expect(sky.changes.map(([command]) => command)).toEqual(["launch"]);
    expect(sky.changes[0]).not.toContain("--fast");
  });

  it("sets the nodes up again when another set-up was begun in between", async () => {
    const jobs = [
      { id: 1, name: nameOf(TASK), status: "CANCELLED", started: 1 },
      { id: 2, name: nameOf(OTHER_SETUP), status: "FAILED_SETUP" },
    ];
    sky.set(upWith(TASK, "", { jobs }));
    expect((await sky.run(launchVerb, launchInput)).error).toBeUndefined();
    expect(sky.changes.at(-1)).not.toContain("--fast");
  });

  it("sets the nodes up again when a job failed after one that did not, though both had the same set-up", async () => {
    const first = { id: 1, name: nameOf(TASK), status: "CANCELLED", started: 1 };
    const failed = [{ status: "FAILED_SETUP" }, { status: "FAILED", started: 2 }];
    for (const then of failed) {
      sky.set(upWith(TASK, "", { jobs: [first, { id: 2, name: nameOf(TASK), ...then }] }));
      expect((await sky.run(launchVerb, launchInput)).error).toBeUndefined();
      expect(sky.changes.at(-1)).not.toContain("--fast");
    }
  });

  it.each(["FAILED", "CANCELLED", "SUCCEEDED"])("starts its task again when that is %s", async (status) => {
    sky.set(upWith(TASK, status));
    expect((await sky.run(launchVerb, launchInput)).error).toBeUndefined();
    expect(sky.changes.map(([command]) => command)).toEqual(["launch"]);
  });

  it.each(["INIT", "STOPPED"])("launches a cluster that is %s again", async (status) => {
    sky.set({ clusters: { [CLUSTER]: { status, hash: "hash-1", nodes: 2, jobs: [] } } });
    const { error, result } = await sky.run(launchVerb, launchInput);
    expect(error).toBeUndefined();
    expect(result).toMatchObject({ clusterHash: "hash-1" });
    expect(sky.changes.map(([command]) => command)).toEqual(["launch"]);
  });

  it.each<[string, object, string[]]>([
    ["spot instances", { use_spot: true }, ["down", "launch"]],
    ["spot instances first", { ordered: [{ use_spot: true }, { use_spot: false }] }, ["down", "launch"]],
    ["spot instances somewhere", { any_of: [{ infra: "aws", use_spot: true }] }, ["down", "launch"]],
    ["machines on demand", {}, ["launch"]],
  ])("takes what is left of a cluster down where it asks for %s: %j", async (_what, resources, commands) => {
    const task = { ...TASK, resources: { ...TASK.resources, ...resources } };
    for (const status of ["INIT", "STOPPED"]) {
      const lost = { status, hash: "hash-1", nodes: 2, jobs: [], everUp: true };
      const before = sky.changes.length;
      sky.set({ clusters: { [CLUSTER]: lost } });
      expect((await sky.run(launchVerb, { ...launchInput, task })).error).toBeUndefined();
      expect(sky.changes.slice(before).map(([command]) => command)).toEqual(commands);
    }
  });

  it("goes on with an unfinished launch of spot instances", async () => {
    const task = { ...TASK, resources: { ...TASK.resources, use_spot: true } };
    sky.set({ clusters: { [CLUSTER]: { status: "INIT", hash: "hash-1", nodes: 2, jobs: [] } } });
    expect((await sky.run(launchVerb, { ...launchInput, task })).error).toBeUndefined();
    expect(sky.changes.map(([command]) => command)).toEqual(["launch"]);
  });

  it("ends the launch that a killed driver has left at the API server", async () => {
    const requests = [
      { request_id: "r-1", name: "sky.launch", status: "RUNNING" },
      { request_id: "r-2", name: "sky.status", status: "RUNNING" },
    ];
    sky.set({ requests });
    expect((await sky.run(launchVerb, launchInput)).error).toBeUndefined();
    expect(sky.changes.map((args) => args.slice(0, 4))).toEqual([
      ["api", "cancel", "-y", "r-1"],
      ["launch", "-y", "--detach-run", "-c"],
    ]);
  });

  it("lets SkyPilot try again until there is capacity, when asked to", async () => {
    await sky.run(launchVerb, { ...launchInput, retryUntilUp: true });
    expect(sky.changes[0]).toContain("--retry-until-up");
  });

  it("asks for the endpoint that the cloud opened where the task has ports", async () => {
    const task = { ...TASK, resources: { ...TASK.resources, ports: [8000] } };
    const state = upWith(task, "RUNNING", { endpoint: "127.9.9.8:8000" });
    sky.set(state);
    const { result } = await sky.run(launchVerb, { ...launchInput, task });
    expect(result).toMatchObject({ endpoint: "http://127.9.9.8:8000", headAddress: "127.9.9.9" });
  });

  it("waits until the cloud has given the port an address", async () => {
    const task = { ...TASK, resources: { ...TASK.resources, ports: [8000] } };
    sky.set(upWith(task, "RUNNING", { endpoint: "127.9.9.8:8000", unopened: 2 }));
    const { result } = await sky.run(launchVerb, { ...launchInput, task });
    expect(result).toMatchObject({ endpoint: "http://127.9.9.8:8000", headAddress: "127.9.9.9" });
  });

  it("fails where it gives none, instead of an address that clients do not reach, with what still runs", async () => {
    const task = { ...TASK, resources: { ...TASK.resources, ports: [8000] } };
    sky.set(upWith(task, "RUNNING", { endpoint: "127.9.9.8:8000", unopened: 1e6 }));
    const { error } = await sky.run(launchVerb, { ...launchInput, task, timeoutSeconds: 2 });
    expect(error).toContain("the endpoint's port got no address");
    expect(error).toMatch(/SkyPilot told no endpoint of port 8000 within \d s/);
    expect(error).toContain("Port 8000 not exposed yet.");
    expect(error).toContain("Left running: demo-main-abc123");
  });

  it("prints no line of more than 1 KB, whatever SkyPilot prints", async () => {
    const bar = Array.from({ length: 4000 }, (_, index) => `downloading ${index} %`).join("\r");
    const lines = [
      "Launching on AWS us-east-1.",
      bar,
      `Launching on ${"x".repeat(200_000)}`,
      "Job submitted, ID: 1",
    ];
    sky.set({ launch: { lines } });
    const { error, output } = await sky.run(launchVerb, launchInput);
    expect(error).toBeUndefined();
    expect(Math.max(...output.split("\n").map((line) => Buffer.byteLength(line)))).toBeLessThan(1100);
  });
});

describe("sky lease", () => {
  it("checks, and changes nothing", async () => {
    const { error, output } = await sky.run(leaseVerb, leaseInput);
    expect(error).toBeUndefined();
    expect(output).toContain("SkyPilot is here: ");
    expect(sky.changes).toEqual([]);
  });

  it("fails where a remote API server does not answer, before anything is launched", async () => {
    vi.stubEnv("SKYPILOT_API_SERVER_ENDPOINT", "http://127.0.0.1:1/");
    try {
      const { error = "" } = await sky.run(leaseVerb, leaseInput);
      expect(error).toContain("Nothing was launched: SkyPilot's API server cannot be reached.");
      expect(error).toContain("http://127.0.0.1:1/: ");
    } finally {
      vi.unstubAllEnvs();
    }
  });
});

describe("sky down", () => {
  it("takes the cluster down and makes sure that it is gone", async () => {
    sky.set(upWith(TASK));
    expect((await sky.run(downVerb, leaseInput)).error).toBeUndefined();
    expect(sky.changes).toEqual([["down", "-y", CLUSTER]]);
    expect(sky.state.clusters).toEqual({});
  });

  it("is content when it was gone already", async () => {
    const { error, output } = await sky.run(downVerb, leaseInput);
    expect(error).toBeUndefined();
    expect(output).toContain("nothing of it runs");
    expect(sky.changes).toEqual([]);
  });

  it("takes down what is just being launched and has no record yet", async () => {
    sky.set({ requests: [{ request_id: "r-1", name: "sky.launch", status: "RUNNING" }] });
    expect((await sky.run(downVerb, leaseInput)).error).toBeUndefined();
    expect(sky.changes).toEqual([["down", "-y", CLUSTER]]);
  });

  it("fails loudly when the cluster stays", async () => {
    sky.set({ ...upWith(TASK), stays: true });
    const { error = "" } = await sky.run(downVerb, { ...leaseInput, downTimeoutSeconds: 1 });
    expect(error).toContain(`The teardown of ${CLUSTER} failed within 1 s`);
    expect(error).toContain(`Left running: ${CLUSTER} (UP;`);
    expect(error).toContain("$196.60 an hour");
  });
});

describe("sky observe", () => {
  it("sees all clusters of a prefix in two calls", async () => {
    const other = { status: "INIT", hash: "hash-2", nodes: 1, jobs: [] };
    const foreign = { status: "UP", hash: "hash-3", nodes: 1, jobs: [] };
    const state = upWith(TASK);
    sky.set({ clusters: { ...state.clusters, "demo-decode-0-abc123": other, "someone-else": foreign } });
    const { result } = await sky.run(observeVerb, { prefix: "demo-", infra: ["aws"] });
    // On this machine no node of it runs, so they have nothing.
    const nodes = [0, 1].map((rank) => ({ rank, supervisor: false, programs: [] }));
    const job = { status: "RUNNING" };
    expect(result).toEqual({
      [CLUSTER]: { status: "UP", clusterHash: "hash-1", job, nodes },
      "demo-decode-0-abc123": { status: "INIT", clusterHash: "hash-2" },
    });
    const questions = sky.calls.filter(([command]) => command !== "--version");
    expect(questions).toEqual([
      ["status", "-o", "json"],
      ["queue", "-o", "json", CLUSTER],
    ]);
  });

  it("asks the cloud about a cluster that should be up and does not tell its queue", async () => {
    sky.set({ clusters: { [CLUSTER]: { status: "UP", hash: "hash-1", nodes: 2, jobs: [], lost: true } } });
    const { result } = await sky.run(observeVerb, { prefix: "demo-", infra: ["aws"] });
    expect(result).toEqual({});
    expect(sky.calls.at(-1)).toEqual(["status", "--refresh", "-o", "json", CLUSTER]);
  });

  it("says why a cluster was up and is so no more, in SkyPilot's words", async () => {
    // As seen of a pod that somebody deleted, on a node that was drained.
    const reason =
      "Cluster is abnormal because one or more nodes terminated (Node gpu1 is cordoned). Transitioned to INIT (details: cluster is unhealthy).";
    sky.set({ clusters: { [CLUSTER]: { status: "INIT", hash: "hash-1", nodes: 2, jobs: [], reason } } });
    const { result } = await sky.run(observeVerb, { prefix: "demo-", infra: ["kubernetes"] });
    const said = "one or more nodes terminated (Node gpu1 is cordoned)";
    expect(result).toMatchObject({ [CLUSTER]: { status: "INIT", reason: said } });
  });
});
