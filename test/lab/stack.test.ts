/**
 * The life of a deployment on SkyPilot, told in order: each test goes on where the one before it ended. Real SkyPilot, real
 * Slurm, real Dynamo with its mocker engine on two nodes.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  ask,
  clusters,
  ensureLab,
  jobs,
  LabStack,
  labConfig,
  launches,
  processesOf,
  reason,
  sky,
  titled,
} from "./harness";

const TIMEOUT = 600_000;
const GONE = { timeout: 60_000, interval: 1000 };

describe.skipIf(reason !== undefined)(titled("a stack on SkyPilot"), { timeout: TIMEOUT }, () => {
  let stack: LabStack;
  let endLab: () => Promise<void>;
  let cluster = "";
  let hash = "";

  const changed = (steps: readonly { readonly op: string; readonly name: string }[]): string[] =>
    steps.filter(({ op }) => op !== "same").map(({ op, name }) => `${op} ${name}`);
  const onlyCluster = async () => {
    const [found, ...others] = await clusters();
    expect(others).toEqual([]);
    if (found === undefined) throw new Error("SkyPilot knows no cluster");
    return found;
  };
  const answers = async (outputs: Readonly<Record<string, unknown>>): Promise<void> => {
    const { tokens } = await ask(String(outputs["endpoint"]), "Hello?");
    expect(tokens).toBeGreaterThan(0);
  };

  beforeAll(async () => {
    endLab = await ensureLab();
    stack = new LabStack("labtest");
    stack.configure(labConfig());
  }, TIMEOUT);
  afterAll(async () => {
    await stack.do("destroy");
    await endLab();
    stack.remove();
  }, TIMEOUT);

  it("survives kill -9 of the whole up in the middle of the launch: nothing of it works on", async () => {
    stack.start("up");
    await expect
      .poll(async () => (await clusters()).map(({ status }) => status), { timeout: 180_000, interval: 2000 })
      .toEqual(["INIT"]);
    for (const pid of stack.processes()) process.kill(pid, "SIGKILL");
    await expect.poll(() => stack.processes(), GONE).toEqual([]);
    expect(await clusters()).toHaveLength(1);
  });

  it("converges with the next up, to chat answers from both nodes", async () => {
    const { code, told, outputs } = await stack.do("up");
    expect(code, told).toBe(0);
    ({ name: cluster, cluster_hash: hash } = await onlyCluster());
    expect(cluster).toMatch(/^labtest-test-main-[a-z0-9]{6}$/);
    const asked = await Promise.all(
      [1, 2, 3, 4].map((n) => ask(String(outputs["endpoint"]), `Question ${n}?`)),
    );
    expect(asked.every(({ tokens }) => tokens > 0)).toBe(true);
    // Round robin over two workers, which the plan has put on one node each.
    expect(new Set(asked.map(({ worker }) => worker)).size).toBe(2);
    expect((await jobs(cluster)).filter(({ status }) => status === "RUNNING")).toHaveLength(1);
  });

  it("tells the stages of a launch, one line each", async () => {
    stack.configure(labConfig({ router: { mode: "random" } }));
    const { code, told } = await stack.do("up");
    expect(code, told).toBe(0);
    for (const stage of ["optimising", "syncing", "starting", "ready: job 2 runs on 2 nodes"]) {
      expect(
        told.split("\n").filter((line) => line.includes(`s] ${stage}`)),
        stage,
      ).toHaveLength(1);
    }
    expect(told).not.toContain("\r");
  });

  it("launches nothing when nothing has changed", async () => {
    const before = await launches();
    const { code, told, steps } = await stack.do("up");
    expect(code, told).toBe(0);
    expect(changed(steps)).toEqual([]);
    expect(await launches()).toEqual(before);
  });

  it("shows nothing in preview and drift when all is well", async () => {
    const { steps } = await stack.do("preview");
    expect(changed(steps)).toEqual([]);
    expect((await stack.do("drift")).code).toBe(0);
  });

  it("changes the router mode on the same nodes", async () => {
    stack.configure(labConfig({ router: { mode: "kv" } }));
    const { code, told, outputs } = await stack.do("up");
    expect(code, told).toBe(0);
    await answers(outputs);
    expect((await onlyCluster()).cluster_hash).toBe(hash);
  });

  it("shows a task that was ended outside, with the reason, and starts it again on the same nodes", async () => {
    await sky("cancel", "-y", "-a", cluster);
    const drift = await stack.do("drift");
    expect(drift.code).toBe(2);
    expect(drift.told).toContain("the cluster's task is CANCELLED");
    const { code, told, outputs } = await stack.do("up");
    expect(code, told).toBe(0);
    await answers(outputs);
    expect((await onlyCluster()).cluster_hash).toBe(hash);
  });

  it("shows a cluster that was taken down outside, and makes it anew", async () => {
    await sky("down", "-y", cluster);
    const preview = await stack.do("preview");
    expect(preview.code, preview.told).toBe(0);
    expect(preview.told).toContain("SkyPilot knows no such cluster");
    expect(changed(preview.steps)).toContain("update dynamo-main-launch");
    const { code, told, outputs } = await stack.do("up");
    expect(code, told).toBe(0);
    await answers(outputs);
    const made = await onlyCluster();
    expect(made.name).toBe(cluster);
    expect(made.cluster_hash).not.toBe(hash);
    hash = made.cluster_hash;
  });

  it("replaces the cluster for another number of nodes, the old one first", async () => {
    stack.configure(labConfig({ cluster: { nodes: 1 }, pools: [{ role: "aggregated", tensorParallel: 8 }] }));
    const { code, told, outputs, steps } = await stack.do("up");
    expect(code, told).toBe(0);
    await answers(outputs);
    const made = await onlyCluster();
    expect(made.nodes).toBe(1);
    expect(made.cluster_hash).not.toBe(hash);
    expect(changed(steps).some((step) => /replace.* dynamo-main-lease/.test(step))).toBe(true);
  });

  it("destroys: SkyPilot knows nothing, and no process of it runs", async () => {
    const { code, told } = await stack.do("destroy");
    expect(code, told).toBe(0);
    expect(await clusters()).toEqual([]);
    await expect.poll(() => processesOf(cluster), GONE).toEqual([]);
  });

  it("destroys once more, though all is gone", async () => {
    expect((await stack.do("destroy")).code).toBe(0);
  });

  it("fails with the cause for what can never fit, and destroy leaves nothing", async () => {
    stack.configure(
      labConfig({ cluster: { nodes: 3 }, pools: [{ role: "aggregated", replicas: 3, tensorParallel: 8 }] }),
    );
    const { code, told } = await stack.do("up");
    expect(code).toBe(1);
    expect(told).toContain("the request cannot be met as it is");
    expect(told).toMatch(/Cause: .*(PartitionNodeLimit|configuration is not available)/);
    expect(told).toMatch(/Left running: /);
    const destroyed = await stack.do("destroy");
    expect(destroyed.code, destroyed.told).toBe(0);
    expect(await clusters()).toEqual([]);
  });

  it("runs another stack after it on the same lab, under a name of its own", async () => {
    const other = new LabStack("labtest", "other");
    try {
      other.configure(
        labConfig({ cluster: { nodes: 1 }, pools: [{ role: "aggregated", tensorParallel: 8 }] }),
      );
      const { code, told, outputs } = await other.do("up");
      expect(code, told).toBe(0);
      await answers(outputs);
      const { name } = await onlyCluster();
      expect(name).toMatch(/^labtest-other-main-[a-z0-9]{6}$/);
      expect((await other.do("destroy")).code).toBe(0);
      await expect.poll(() => processesOf(name), GONE).toEqual([]);
    } finally {
      await other.do("destroy");
      other.remove();
    }
  });
});
