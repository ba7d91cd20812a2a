/**
 * An image that runs as a user without sudo, as NVIDIA's do: SkyPilot gives up on such a pod, and the task's
 * own settings make it root's.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ConfigInput } from "../../config/schema";
import { ask, endpointOf, reason, titled } from "../lab/harness";
import { LabStack } from "../lab/labStack";
import { askKubernetes, committed, GONE, MARK, objects, requireKubernetes, TIMEOUT } from "./cluster";
import { importUserImage } from "./userImage";

const IMAGE = "dynamo-sky/user:1";

describe.skipIf(reason !== undefined)(titled("an image with USER dynamo"), { timeout: TIMEOUT }, () => {
  let stack: LabStack;
  let before: string[] = [];
  const config = (more: ConfigInput["sky"] = {}): ConfigInput => ({
    ...committed(),
    cluster: { nodes: 1, gpusPerNode: 8, accelerator: "H100" },
    pools: [{ role: "aggregated", tensorParallel: 8 }],
    sky: { ...committed().sky, image: `docker:${IMAGE}`, ...more },
  });

  beforeAll(async () => {
    requireKubernetes();
    await importUserImage(`docker.io/${IMAGE}`);
    before = await objects();
    stack = new LabStack("kubeuser", "test", MARK);
  }, TIMEOUT);
  afterAll(async () => {
    await stack.end();
  }, TIMEOUT);

  it("fails as its own user, with what to do", async () => {
    const spec = { containers: [{ securityContext: { runAsUser: 1000 } }] };
    stack.configure(config({ config: { kubernetes: { pod_config: { spec } } } }));
    const { code, told } = await stack.do("up");
    expect(code).toBe(1);
    expect(told).toContain("a pod ended while SkyPilot set it up");
    // By how far the pod's end has come when SkyPilot asks it.
    expect(told).toMatch(
      /Cause: .*(Pod \S+ terminated: Error|container not found|completed pod|no running task found)/,
    );
    expect((await stack.do("destroy")).code).toBe(0);
    await expect.poll(objects, GONE).toEqual(before);
  });

  it("comes up by itself, as root", async () => {
    stack.configure(config());
    const up = await stack.do("up");
    expect(up.code, up.told).toBe(0);
    const { apiKey } = await stack.deployment();
    expect((await ask(endpointOf(up.outputs, apiKey), "Hello?")).tokens).toBeGreaterThan(0);
    const pod = (await askKubernetes("get", "pods", "-o", "name")).trim();
    const inPod = (...words: readonly string[]) => askKubernetes("exec", pod, "--", ...words);
    expect(await inPod("id", "-un")).toBe("root\n");
    expect(await inPod("sh", "-c", "command -v sudo; grep -c ^dynamo: /etc/passwd")).toBe("1\n");
  });

  it("goes, and leaves nothing", async () => {
    const { code, told } = await stack.do("destroy");
    expect(code, told).toBe(0);
    await expect.poll(objects, GONE).toEqual(before);
  });
});
