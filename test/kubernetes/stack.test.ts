/**
 * The life of a deployment on Kubernetes: each test continues from the previous one's state. Real SkyPilot,
 * real Kubernetes, real Dynamo with its mocker engine in two pods.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { processesInPods } from "../../dev/lab/kubernetes/traces";
import { KUBERNETES_SKYPILOT_USER } from "../../toolchain/kubernetesLabLayout";
import { changed, onlyCluster } from "../lab/changes";
import { ask, endpointOf, reason, titled } from "../lab/harness";
import { LabStack } from "../lab/labStack";
import {
  askKubernetes,
  committed,
  firstProcesses,
  GONE,
  KUBERNETES_SKY,
  MARK,
  nodesWithPods,
  objects,
  pods,
  requireKubernetes,
  TIMEOUT,
  workerPod,
} from "./cluster";

const NODES = ["gpu0", "gpu1"];

describe.skipIf(reason !== undefined)(titled("a stack on Kubernetes"), { timeout: TIMEOUT }, () => {
  let stack: LabStack;
  let before: string[] = [];
  let outputs: Readonly<Record<string, unknown>> = {};
  let apiKey: string | undefined;

  const tokens = async (key: string | undefined): Promise<number> =>
    ask(endpointOf(outputs, key), "Hello?").then(
      (answer) => answer.tokens,
      () => 0,
    );

  beforeAll(async () => {
    requireKubernetes();
    before = await objects();
    stack = new LabStack("kubetest", "test", MARK);
    stack.configure(committed());
  }, TIMEOUT);
  afterAll(async () => {
    await stack.end();
  }, TIMEOUT);

  /** That nothing of an interrupted operation works on. */
  const ended = async () => expect.poll(() => stack.processes(), GONE).toEqual([]);

  it("survives kill -9 of the whole up while pods are made", async () => {
    const up = stack.start("up");
    await up.until(async () => (await pods()).length > 0);
    stack.killAll();
    await ended();
  });

  it("takes Ctrl-C in the next up while its pods are set up, and says so", async () => {
    const up = stack.start("up");
    await up.until(() => up.told.includes("s] setting up"));
    up.interrupt();
    expect(await up.code).not.toBe(0);
    expect(up.told).toMatch(/cancell?(ed|ing)/);
    await ended();
  });

  it("survives kill -9 of one more up while its programs start", async () => {
    const up = stack.start("up");
    await up.until(() => /waiting for aggregated-\d/.test(up.told));
    stack.killAll();
    await ended();
    expect(await KUBERNETES_SKY.clusters()).toHaveLength(1);
  });

  it("then comes up with a pod on each node, and answers with its key over TLS", async () => {
    const up = await stack.do("up");
    expect(up.code, up.told).toBe(0);
    outputs = up.outputs;
    ({ apiKey } = await stack.deployment());
    expect(await nodesWithPods()).toEqual(NODES);
    expect(String(outputs["endpoint"])).toMatch(/^https:/);
    expect(await tokens(apiKey)).toBeGreaterThan(0);
    expect(await tokens(undefined)).toBe(0);
  });

  it("has each process of its pods known by its control group, and its files by its SkyPilot's user", async () => {
    const first = await firstProcesses();
    // A pod has its own and SkyPilot's container.
    expect(first).toHaveLength(2 * NODES.length);
    expect(processesInPods()).toEqual(expect.arrayContaining(first));
    for (const { name } of await pods()) expect(name).toContain(`-${KUBERNETES_SKYPILOT_USER}-`);
  });

  it("shows nothing in preview, and its state in verify, status and logs", async () => {
    expect(changed((await stack.do("preview")).steps)).toEqual([]);
    const verified = await stack.verify();
    expect(verified.code, verified.stderr).toBe(0);
    expect(verified.json.cacheAware).toBe(true);
    const status = await stack.look("status");
    expect(status.code, `${status.stderr}${status.stdout}`).toBe(0);
    expect(JSON.parse(status.stdout)).toMatchObject({
      healthy: true,
      clusters: [{ status: "UP", nodes: [{ problem: null }, { problem: null }] }],
    });
    const logs = await stack.look("logs", "--role", "aggregated", "--tail", "2");
    expect(logs.code, logs.stderr).toBe(0);
    expect(logs.stdout.trim().split("\n").length).toBeGreaterThan(1);
  });

  it("shows a pod that somebody deleted as drift, and makes it anew", async () => {
    expect((await stack.do("drift")).code).toBe(0);
    await askKubernetes("delete", "pod", (await workerPod()).name, "--wait=true");
    const drift = await stack.do("drift");
    expect(drift.code, drift.told).toBe(2);
    expect(drift.told).toContain("the cluster is INIT: one or more nodes terminated");
    const up = await stack.do("up");
    expect(up.code, up.told).toBe(0);
    outputs = up.outputs;
    expect(await nodesWithPods()).toEqual(NODES);
    expect(await tokens(apiKey)).toBeGreaterThan(0);
  });

  it("survives kill -9 of the whole destroy", async () => {
    const { name } = await onlyCluster(KUBERNETES_SKY);
    const destroy = stack.start("destroy");
    await destroy.until(() => destroy.told.includes(`taking down ${name}`));
    stack.killAll();
    await ended();
  });

  it("goes with the next destroy, and leaves no pod, service, secret or config map", async () => {
    const { code, told } = await stack.do("destroy");
    expect(code, told).toBe(0);
    await expect.poll(objects, GONE).toEqual(before);
  });
});
