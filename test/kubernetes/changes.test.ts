/**
 * A deployment on Kubernetes changes and loses pods while clients ask. Real SkyPilot, real Kubernetes, real
 * Dynamo with its mocker engine: at first one worker on the head's node, then one on each of two.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ConfigInput } from "../../config/schema";
import { withKey } from "../../dev/benchmarks/streams";
import { changesAlone, expectInTurn } from "../lab/changes";
import { reason, titled } from "../lab/harness";
import { LabStack } from "../lab/labStack";
import { Questions } from "../lab/questions";
import { ALL, lose } from "../losses";
import {
  askKubernetes,
  committed,
  GONE,
  givenKubernetes,
  KUBERNETES_SKY,
  MARK,
  nodesWithPods,
  objects,
  pods,
  processOfProgram,
  requireKubernetes,
  TIMEOUT,
  workerPod,
} from "./cluster";

const NODES = ["gpu0", "gpu1"];
/** Clients with a request each, at all times. */
const CLIENTS = 60;
const SERVICES = ["etcd", "nats", "gateway"];
const FRONTENDS = ["frontend-0", "frontend-1"];

describe.skipIf(reason !== undefined)(titled("changes on Kubernetes"), { timeout: TIMEOUT }, () => {
  let stack: LabStack;
  let before: string[] = [];

  const workers = (replicas: number, changes: Partial<ConfigInput> = {}): Partial<ConfigInput> => ({
    pools: [{ role: "aggregated", replicas, tensorParallel: 8 }],
    ...changes,
  });
  const config = (changes: Partial<ConfigInput> = {}): ConfigInput => ({
    ...committed(),
    cluster: { nodes: 2, gpusPerNode: 8, accelerator: "H100", allowIdleGpus: true },
    router: { mode: "round-robin" },
    ...workers(1),
    ...changes,
  });
  const TWO = workers(2, { router: { mode: "kv" } });
  const serving = () => ({ stack, config, sky: KUBERNETES_SKY, processOfProgram });
  /** Repairs the loss of the pod with the second worker. */
  const repaired = async () => {
    const drift = await stack.do("drift");
    expect(drift.code, drift.told).toBe(2);
    expect(drift.told).toContain("the cluster is INIT: one or more nodes terminated");
    const { code, told } = await stack.do("up");
    expect(code, told).toBe(0);
    expect(await nodesWithPods()).toEqual(NODES);
    expect(processOfProgram("aggregated-1")).toBeGreaterThan(0);
  };

  beforeAll(async () => {
    requireKubernetes();
    before = await objects();
    stack = new LabStack("kubechange", "test", MARK);
    stack.configure(config());
    const { code, told } = await stack.do("up");
    expect(code, told).toBe(0);
  }, TIMEOUT);
  afterAll(async () => {
    await askKubernetes("uncordon", ...NODES);
    await stack.end();
  }, TIMEOUT);

  it("changes the router mode by its frontends alone, one after the other, and loses no request", async () => {
    const told = await changesAlone(
      serving(),
      { router: { mode: "kv" } },
      FRONTENDS.map((name) => `update dynamo-${name}`),
      [...SERVICES, "aggregated-0"],
    );
    expectInTurn(told, ["frontend-0", "frontend-1"]);
  });

  it("grows by a worker on the other pod alone, and loses no request", async () => {
    await changesAlone(
      serving(),
      TWO,
      ["create dynamo-aggregated-1", "update dynamo-main-nodes"],
      [...SERVICES, ...FRONTENDS, "aggregated-0"],
    );
  });

  it("loses no request when a pod is evicted while 60 clients ask, and its replica is elsewhere too", async () => {
    const questions = new Questions(await stack.deployment(), CLIENTS);
    await expect.poll(() => questions.workers.size, GONE).toBe(2);
    const { name } = await workerPod();
    const eviction = {
      apiVersion: "policy/v1",
      kind: "Eviction",
      metadata: { name, namespace: "default" },
    };
    await givenKubernetes(eviction, "create", `--raw=/api/v1/namespaces/default/pods/${name}/eviction`);
    await expect.poll(pods, GONE).toHaveLength(1);
    const then = questions.answered;
    await expect.poll(() => questions.answered, GONE).toBeGreaterThan(then + 2 * CLIENTS);
    await questions.stop();
    const { failures, answered, longestSeconds } = questions;
    process.stdout.write(
      `Evicted a pod: ${failures.length} of ${answered} lost, the longest answer took ${longestSeconds.toFixed(1)} s\n`,
    );
    // The pods go with the test: what else would tell.
    if (failures.length > 0)
      process.stdout.write((await stack.look("logs", "--role", "frontend", "--tail", "100")).stdout);
    expect(failures).toEqual([]);
    await repaired();
  });

  it("loses none of 200 open streams when a node is drained in a second, and its replica is elsewhere too", async () => {
    const target = withKey(await stack.deployment());
    const { node } = await workerPod();
    let drained: Promise<string> | undefined;
    const drain = () => {
      drained = askKubernetes("drain", node, "--force", "--delete-emptydir-data", "--grace-period=1");
    };
    const loss = await lose(target, "a drained node", [processOfProgram("aggregated-1")], drain);
    expect(await drained).toContain("drained");
    expect(loss).toEqual(ALL);
    await askKubernetes("uncordon", node);
    await repaired();
  });

  it("goes, and leaves no pod, service, secret or config map", async () => {
    const { code, told } = await stack.do("destroy");
    expect(code, told).toBe(0);
    await expect.poll(objects, GONE).toEqual(before);
  });
});
