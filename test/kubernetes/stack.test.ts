/**
 * The life of a deployment on Kubernetes: each test continues from the previous one's state. Real SkyPilot,
 * real Kubernetes, real Dynamo with its mocker engine in two pods.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import type { ConfigInput } from "../../config/schema";
import { changed } from "../lab/changes";
import { ask, endpointOf, REPOSITORY, reason, titled } from "../lab/harness";
import { LabStack } from "../lab/labStack";
import { askKubernetes, MARK, objects, pods, requireKubernetes } from "./cluster";

const TIMEOUT = 600_000;
const GONE = { timeout: 120_000, interval: 1000 };

/** The committed stack for this lab, as users take it. */
function committed(): ConfigInput {
  const file = join(REPOSITORY, "examples", "stacks", "Pulumi.kubernetes.yaml");
  const { config }: { config: Record<string, unknown> } = parse(readFileSync(file, "utf8"));
  const named = Object.entries(config).map(([key, value]) => [key.replace("dynamo-sky:", ""), value]);
  return Object.fromEntries(named);
}

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
    await stack.do("destroy");
    stack.remove();
  }, TIMEOUT);

  it("comes up with a pod on each node, and answers with its key over TLS", async () => {
    const up = await stack.do("up");
    expect(up.code, up.told).toBe(0);
    outputs = up.outputs;
    ({ apiKey } = await stack.deployment());
    expect((await pods()).map(({ node }) => node).toSorted()).toEqual(["gpu0", "gpu1"]);
    expect(String(outputs["endpoint"])).toMatch(/^https:/);
    expect(await tokens(apiKey)).toBeGreaterThan(0);
    expect(await tokens(undefined)).toBe(0);
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
    const [pod] = (await pods()).filter(({ node }) => node === "gpu1");
    await askKubernetes("delete", "pod", pod?.name ?? "", "--wait=true");
    const drift = await stack.do("drift");
    expect(drift.code, drift.told).toBe(2);
    const up = await stack.do("up");
    expect(up.code, up.told).toBe(0);
    outputs = up.outputs;
    expect((await pods()).map(({ node }) => node).toSorted()).toEqual(["gpu0", "gpu1"]);
    expect(await tokens(apiKey)).toBeGreaterThan(0);
  });

  it("goes, and leaves no pod, service, secret or config map", async () => {
    const { code, told } = await stack.do("destroy");
    expect(code, told).toBe(0);
    await expect.poll(objects, GONE).toEqual(before);
  });
});
