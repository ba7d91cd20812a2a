/**
 * The life of a deployment on SkyPilot: each test continues from the previous one's state. Real SkyPilot,
 * real Slurm, real Dynamo with its mocker engine on two nodes.
 */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ConfigInput } from "../../config/schema";
import { freePorts } from "../../dev/freePorts";
import { changed, changesAlone, expectInTurn, expectStages, onlyCluster } from "./changes";
import {
  ask,
  clusters,
  disaggregated,
  endpointOf,
  jobs,
  labConfig,
  launches,
  reason,
  requireLab,
  SLURM_SKY,
  sky,
  titled,
} from "./harness";
import { LabStack } from "./labStack";
import { expectLogs, expectStatus, expectVerified } from "./looks";
import { expectFewLost, expectNoneLost, expectOwnLost } from "./losses";
import { expectListed, expectRefusals, expectUnheard, planOf, takeOff } from "./nodes";
import { processesOf, processOfProgram } from "./processes";
import { Questions } from "./questions";
import { Secrecy } from "./secrecy";

const TIMEOUT = 600_000;
const GONE = { timeout: 60_000, interval: 1000 };

const TOKEN = `hf_${randomBytes(16).toString("hex")}`;

const DISAGGREGATED = disaggregated(2);
const WORKERS = ["prefill-0", "prefill-1", "decode-0", "decode-1"];

describe.skipIf(reason !== undefined)(titled("a stack on SkyPilot"), { timeout: TIMEOUT }, () => {
  let stack: LabStack;
  let config: (changes?: Partial<ConfigInput>) => ConfigInput;
  let secrecy: Secrecy;
  let cluster = "";
  let hash = "";
  let apiKey: string | undefined;

  const planned = (changes?: Partial<ConfigInput>) => planOf({ ...config(changes), huggingFaceToken: TOKEN });
  /** Sends a request like a client with the key; the certificate must be that of this update. */
  const asked = (outputs: Readonly<Record<string, unknown>>, question: string) =>
    ask(endpointOf(outputs, apiKey), question);
  const serving = () => ({ stack, config, sky: SLURM_SKY, processOfProgram });
  const answers = async (outputs: Readonly<Record<string, unknown>>): Promise<void> => {
    const { tokens } = await asked(outputs, "Hello?");
    expect(tokens).toBeGreaterThan(0);
  };

  beforeAll(async () => {
    requireLab();
    const ports = await freePorts();
    const { frontend } = ports;
    config = (changes) => labConfig(ports, { frontend, ...changes });
    stack = new LabStack("labtest");
    await stack.encrypt("huggingFaceToken", TOKEN);
    secrecy = new Secrecy(stack, { HF_TOKEN: TOKEN });
    stack.configure(config());
  }, TIMEOUT);
  afterAll(async () => {
    secrecy.stop();
    await stack.end();
  }, TIMEOUT);

  it("survives kill -9 of the whole up in the middle of the launch: nothing of it works on", async () => {
    const up = stack.start("up");
    await up.until(() => /provisioning/.test(up.told));
    await up.until(async () => (await clusters()).some(({ status }) => status === "INIT"));
    stack.killAll();
    await expect.poll(() => stack.processes(), GONE).toEqual([]);
    expect(await clusters()).toHaveLength(1);
  });

  it("converges with the next up, to chat answers from both nodes", async () => {
    const { code, told, outputs } = await stack.do("up");
    expect(code, told).toBe(0);
    ({ name: cluster, cluster_hash: hash } = await onlyCluster());
    expect(cluster).toMatch(/^labtest-test-main-[a-z0-9]{6}$/);
    ({ apiKey } = await stack.deployment());
    expect(told).toContain("export DYNAMO_API_KEY=");
    const found = await Promise.all([1, 2, 3, 4].map((n) => asked(outputs, `Question ${n}?`)));
    expect(found.every(({ tokens }) => tokens > 0)).toBe(true);
    // Round robin over two workers, planned on one node each.
    expect(new Set(found.map(({ worker }) => worker)).size).toBe(2);
    expect((await jobs(cluster)).filter(({ status }) => status === "RUNNING")).toHaveLength(1);
  });

  it("takes a new key beside the old one while it answers, and starts nothing anew", async () => {
    const seen = async () => ({
      processes: ["gateway", "frontend-0", "frontend-1", "aggregated-0", "aggregated-1"].map(
        processOfProgram,
      ),
      jobs: (await jobs(cluster)).map(({ job_id, status }) => `${job_id} ${status}`),
    });
    const { endpoint, fingerprint } = await stack.deployment();
    const before = await seen();
    const questions = new Questions({ endpoint, apiKey, fingerprint }, 2);
    const graceUntil = new Date(Date.now() + 3_600_000).toISOString().replace(/\.\d+/, "");
    stack.configure(config({ access: { keys: ["next"], retiredKeys: [{ name: "default", graceUntil }] } }));
    const { code, told, steps } = await stack.do("up");
    await questions.stop();
    expect(code, told).toBe(0);
    expect(told).toContain("nothing is started anew");
    expect(changed(steps).toSorted()).toEqual([
      "create dynamo-key-next",
      "update dynamo-main-nodes",
      "update dynamo-ready-check",
    ]);
    expect(await seen()).toEqual(before);
    expect(questions.failures).toEqual([]);
    expect(questions.answered).toBeGreaterThan(10);
    const { apiKey: next } = await stack.deployment();
    expect(next).not.toBe(apiKey);
    for (const key of [next, apiKey])
      expect((await ask({ endpoint, fingerprint, apiKey: key }, "Hello?")).tokens).toBeGreaterThan(0);
    // Back to one key, whose value has not changed.
    stack.configure(config());
    expect((await stack.do("up")).code).toBe(0);
    const refused = () => ask({ endpoint, fingerprint, apiKey: next }, "Hello?").then(({ tokens }) => tokens);
    await expect.poll(refused, GONE).toBe(0);
    expect(await seen()).toEqual(before);
    secrecy.learn({ gone: String(next) });
  });

  it("has each secret where a program needs it, and nowhere else", async () => {
    await secrecy.expectKept(planned(), cluster);
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

  it("changes the router mode by its frontends alone, one after the other, and loses no request", async () => {
    const told = await changesAlone(
      serving(),
      { router: { mode: "kv" } },
      ["update dynamo-frontend-0", "update dynamo-frontend-1"],
      ["etcd", "nats", "gateway", "aggregated-0", "aggregated-1"],
    );
    expectInTurn(told, ["frontend-0", "frontend-1"]);
  });

  it("shows a unit that a node has lost, with the reason, and starts it again alone", async () => {
    const others = ["etcd", "nats", "frontend-0", "frontend-1", "aggregated-0"];
    const before = others.map(processOfProgram);
    await takeOff(cluster, 1, "aggregated-1");
    const drift = await stack.do("drift");
    expect(drift.code).toBe(2);
    expect(drift.told).toContain("aggregated-1 does not run");
    const { code, told, outputs, steps } = await stack.do("up");
    expect(code, told).toBe(0);
    expect(changed(steps)).toEqual(["update dynamo-aggregated-1", "update dynamo-ready-check"]);
    await answers(outputs);
    expect(processOfProgram("aggregated-1")).toBeGreaterThan(0);
    expect(others.map(processOfProgram)).toEqual(before);
    expect((await stack.do("drift")).code).toBe(0);
  });

  it("ends at Ctrl-C in the middle of an update, and says so", async () => {
    stack.configure(config(disaggregated(1)));
    const update = stack.start("up");
    await update.until(() => /waiting for (prefill|decode)-\d/.test(update.told));
    update.interrupt();
    expect(await update.code).not.toBe(0);
    expect(update.told).toMatch(/cancell?(ed|ing)/);
    await expect.poll(() => stack.processes(), GONE).toEqual([]);
  });

  it("converges with the next up, to two prefill workers and one decode worker over the two nodes", async () => {
    const { code, told, outputs } = await stack.do("up");
    expect(code, told).toBe(0);
    await answers(outputs);
    expect((await onlyCluster()).cluster_hash).toBe(hash);
    expect((await jobs(cluster)).filter(({ status }) => status === "RUNNING")).toHaveLength(1);
  });

  it("grows by a decode worker on free GPUs alone, and loses no request", async () => {
    await changesAlone(
      serving(),
      DISAGGREGATED,
      ["create dynamo-decode-1", "update dynamo-main-nodes"],
      ["etcd", "nats", "gateway", "frontend-0", "frontend-1", "prefill-0", "prefill-1", "decode-0"],
    );
  });

  it("changes an argument of its workers, those of a role one after the other, and loses no request", async () => {
    const told = await changesAlone(
      serving(),
      { ...DISAGGREGATED, engineArgs: ["--max-num-seqs", "128"] },
      WORKERS.map((name) => `update dynamo-${name}`).toSorted(),
      ["etcd", "nats", "gateway", "frontend-0", "frontend-1"],
    );
    expectInTurn(told, ["prefill-0", "prefill-1"], ["decode-0", "decode-1"]);
  });

  it("serves on when its update is killed between two workers, refuses a second one beside it, and goes on", async () => {
    const others = ["etcd", "nats", "gateway", "frontend-0", "frontend-1"];
    const before = others.map(processOfProgram);
    const { endpoint, fingerprint } = await stack.deployment();
    const questions = new Questions({ endpoint, apiKey, fingerprint }, 2);
    // Long enough that the second prefill worker is not reached.
    stack.configure(config(disaggregated(2, 300)));
    const update = stack.start("up");
    await update.until(() => /prefill-\d has answered a request/.test(update.told));
    const second = await stack.do("up");
    stack.killAll();
    await expect.poll(() => stack.processes(), GONE).toEqual([]);
    expect(second.code).not.toBe(0);
    expect(second.told).toMatch(/locked/);
    stack.configure(config(DISAGGREGATED));
    const { code, told, steps } = await stack.do("up");
    await questions.stop();
    expect(code, told).toBe(0);
    const again = /prefill-(\d) has answered/.exec(update.told)?.[1] === "0" ? "prefill-1" : "prefill-0";
    expect(new Set(told.match(/restarting prefill-\d/g))).toEqual(new Set([`restarting ${again}`]));
    expect(changed(steps)).toContain(`update dynamo-${again}`);
    expect(questions.failures).toEqual([]);
    expect(others.map(processOfProgram)).toEqual(before);
    expect(changed((await stack.do("preview")).steps)).toEqual([]);
  });

  it("listens on both nodes on what is on the written list, and on nothing else", () => {
    expectListed(planned(DISAGGREGATED).clusters[0]?.nodes ?? [], cluster);
  });

  it("lets who has its certificate in at etcd, NATS, workers and frontends, and nobody else", async () => {
    await expectRefusals(planned(DISAGGREGATED).clusters[0]?.nodes ?? [], cluster);
  });

  it("says nothing between its nodes that a listener can read", async () => {
    const nodes = planned(DISAGGREGATED).clusters[0]?.nodes ?? [];
    await expectUnheard(nodes, cluster, await stack.deployment());
  });

  it("still has each secret where a program needs it alone, after an update that was interrupted", async () => {
    await secrecy.expectKept(planned(DISAGGREGATED), cluster);
  });

  it("shows distinct prefill and decode workers and cached blocks with bin/dynamo-sky verify", async () => {
    await expectVerified(stack);
  });

  it("shows with bin/dynamo-sky status what runs on both nodes, asked through SkyPilot's ssh", async () => {
    await expectStatus(stack, cluster);
  });

  it("reads with bin/dynamo-sky logs what a role has written on the nodes", async () => {
    await expectLogs(stack);
  });

  const loaded = async () => ({ deployment: await stack.deployment(), plan: planned(DISAGGREGATED) });
  it.each(["decode-0", "prefill-0"])(
    "loses %s with 200 streams open: they all end whole, and those that follow",
    async (worker) => {
      await expectNoneLost(await loaded(), worker);
    },
  );

  it("loses all workers of a node: no request is lost but by Dynamo's race for a connection", async () => {
    await expectFewLost(await loaded(), ["prefill-1", "decode-1"], cluster);
  });

  it("loses a frontend with 200 streams open: its own break, and no other request", async () => {
    await expectOwnLost(await loaded(), "frontend-0", cluster);
  });

  it("shrinks by a decode worker, and changes an argument of its frontends, and loses no request", async () => {
    const frontend = { ...config().frontend, migrationLimit: 5 };
    const told = await changesAlone(
      serving(),
      { ...disaggregated(1), frontend },
      [
        "delete dynamo-decode-1",
        "update dynamo-frontend-0",
        "update dynamo-frontend-1",
        "update dynamo-main-nodes",
      ],
      ["etcd", "nats", "gateway", "prefill-0", "prefill-1", "decode-0"],
    );
    expectInTurn(told, ["frontend-0", "frontend-1"]);
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

  it("shows a cluster that was taken down outside, and makes it anew, telling each stage once", async () => {
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
    expectStages(told);
    expect(told).toMatch(/ready: job 1 runs on 2 nodes/);
    expect(told).not.toContain("\r");
  });

  it("replaces the cluster for another number of nodes, the old one first", async () => {
    stack.configure(config({ cluster: { nodes: 1 }, pools: [{ role: "aggregated", tensorParallel: 8 }] }));
    const { code, told, outputs, steps } = await stack.do("up");
    expect(code, told).toBe(0);
    await answers(outputs);
    const made = await onlyCluster();
    expect(made.nodes).toBe(1);
    expect(made.cluster_hash).not.toBe(hash);
    expect(changed(steps).some((step) => /replace.* dynamo-main-lease/.test(step))).toBe(true);
  });

  it("survives kill -9 of the whole destroy: the next one ends it", async () => {
    const destroy = stack.start("destroy");
    await destroy.until(() => destroy.told.includes(`taking down ${cluster}`));
    stack.killAll();
    await expect.poll(() => stack.processes(), GONE).toEqual([]);
    const { code, told } = await stack.do("destroy");
    expect(code, told).toBe(0);
  });

  it("is gone after destroy: SkyPilot knows nothing, and no process of it runs", async () => {
    expect(await clusters()).toEqual([]);
    await expect.poll(() => processesOf(cluster), GONE).toEqual([]);
    await secrecy.expectNothing();
  });

  it("destroys once more, though all is gone", async () => {
    expect((await stack.do("destroy")).code).toBe(0);
  });

  it("fails with the cause for what can never fit, and destroy leaves nothing", async () => {
    stack.configure(
      config({ cluster: { nodes: 3 }, pools: [{ role: "aggregated", replicas: 3, tensorParallel: 8 }] }),
    );
    const { code, told } = await stack.do("up");
    expect(code).toBe(1);
    expect(told).toContain("Slurm does not take the job as it is");
    expect(told).toMatch(/Cause: .*(PartitionNodeLimit|configuration is not available)/);
    expect(told).toMatch(/Left running: /);
    await secrecy.expectNothing();
    const destroyed = await stack.do("destroy");
    expect(destroyed.code, destroyed.told).toBe(0);
    expect(await clusters()).toEqual([]);
  });
});
