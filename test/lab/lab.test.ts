/**
 * The program on real SkyPilot and a real Slurm: one deployment's life, told in order. Each test goes on where the one
 * before it ended. The engine is Dynamo's mocker, since the nodes' GPUs are only claimed.
 */
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Progress } from "../../driver/progress";
import type { ConfigInput } from "../../plan/schema";
import { labDown } from "../../tools/lab/down";
import type { OperationResult } from "../../tools/pulumi/openStack";
import { ask, namespaced, type TestProject, testProject } from "../engine/programHarness";
import {
  clusters,
  deployment,
  ensureLab,
  jobs,
  LAB_UP_MS,
  LAUNCH_MS,
  processesFor,
  reasonAgainstLab,
  sky,
  startUp,
} from "./labHarness";

const PREFIX = "lab-test-";
const MODEL = "Qwen/Qwen3-8B";
const ENDPOINT = "http://127.0.0.1:21000";

if (reasonAgainstLab !== undefined) console.warn(`The lab's tests are skipped: ${reasonAgainstLab}.`);

describe.skipIf(reasonAgainstLab !== undefined)("a deployment on SkyPilot", () => {
  let project: TestProject;
  let wasUp = true;

  beforeAll(async () => {
    wasUp = await ensureLab();
    project = testProject("lab-test");
  }, LAB_UP_MS);

  afterAll(async () => {
    for (const { name } of clusters(PREFIX)) sky("down", "-y", name);
    project.remove();
    if (!wasUp) await labDown(new Progress(), AbortSignal.timeout(LAB_UP_MS));
  }, LAB_UP_MS);

  const run = async (
    verb: "up" | "preview" | "destroy",
    config: ConfigInput = deployment(),
    stack = "a",
  ): Promise<OperationResult> => {
    project.configure(stack, namespaced(config));
    const opened = await project.open(stack);
    return opened[verb]();
  };
  const changed = ({ steps }: OperationResult) => steps.map(({ name, op }) => `${op} ${name}`).toSorted();
  const only = (prefix = `${PREFIX}a-`) => {
    const found = clusters(prefix);
    expect(found.map(({ status }) => status)).toEqual(["UP"]);
    return found[0] ?? expect.unreachable();
  };
  /** Dynamo's ids of the workers that answered some requests. */
  const workers = async (requests: number) => {
    const ids = new Set<string>();
    for (let count = 0; count < requests; count++) {
      const response = await fetch(`${ENDPOINT}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({
          model: MODEL,
          messages: [{ role: "user", content: `Hello, ${count}` }],
          max_tokens: 4,
          nvext: { extra_fields: ["worker_id"] },
        }),
      });
      const id = /"decode_worker_id":(\d+)/.exec(await response.text())?.[1];
      if (id !== undefined) ids.add(id);
    }
    return ids;
  };

  it(
    "comes up, and answers from both nodes",
    async () => {
      const { outputs } = await run("up");
      expect(outputs["endpoint"]).toBe(ENDPOINT);
      expect((await ask(ENDPOINT, MODEL)).tokens).toBeGreaterThan(0);
      expect((await workers(4)).size).toBe(2);
      expect(jobs(only().name).map(({ status }) => status)).toEqual(["RUNNING"]);
    },
    LAUNCH_MS,
  );

  it(
    "launches nothing when nothing changed",
    async () => {
      expect(changed(await run("preview"))).toEqual([]);
      expect(changed(await run("up"))).toEqual([]);
      expect(jobs(only().name)).toHaveLength(1);
    },
    LAUNCH_MS,
  );

  it(
    "starts the task anew on the same nodes when the router's mode changes",
    async () => {
      const before = only();
      const result = await run("up", deployment({ router: { mode: "kv" } }));
      expect(changed(result)).toEqual(["update dynamo-main-launch", "update dynamo-ready-check"]);
      const { name, cluster_hash } = only();
      expect({ name, cluster_hash }).toEqual({ name: before.name, cluster_hash: before.cluster_hash });
      expect(jobs(name).map(({ status }) => status)).toEqual(["CANCELLED", "RUNNING"]);
      expect((await ask(ENDPOINT, MODEL)).tokens).toBeGreaterThan(0);
    },
    LAUNCH_MS,
  );

  it(
    "is another cluster with another number of nodes, the old one gone first",
    async () => {
      const before = only();
      const smaller = deployment({
        cluster: { nodes: 1, gpusPerNode: 8, accelerator: "H100" },
        pools: [{ role: "aggregated", tensorParallel: 8 }],
      });
      await run("up", smaller);
      const after = only();
      expect(after.cluster_hash).not.toBe(before.cluster_hash);
      expect(after.nodes).toBe(1);
      expect((await ask(ENDPOINT, MODEL)).tokens).toBeGreaterThan(0);
    },
    LAUNCH_MS,
  );

  it(
    "shows in a preview that somebody took it down, and is repaired",
    async () => {
      const config = deployment({
        cluster: { nodes: 1, gpusPerNode: 8, accelerator: "H100" },
        pools: [{ role: "aggregated", tensorParallel: 8 }],
      });
      expect(sky("down", "-y", only().name).code).toBe(0);
      const preview = await run("preview", config);
      const launch = preview.steps.find(({ name }) => name === "dynamo-main-launch");
      expect(launch?.op).toBe("update");
      expect(launch?.changes.join()).toContain("SkyPilot knows no such cluster, seen");
      await run("up", config);
      expect((await ask(ENDPOINT, MODEL)).tokens).toBeGreaterThan(0);
      expect(changed(await run("preview", config))).toEqual([]);
    },
    LAUNCH_MS,
  );

  it(
    "leaves nothing when it is destroyed",
    async () => {
      const { name } = only();
      await run("destroy");
      expect(clusters(PREFIX)).toEqual([]);
      expect(processesFor(name)).toEqual([]);
    },
    LAUNCH_MS,
  );

  it(
    "fails with the cause when it cannot fit, and leaves nothing",
    async () => {
      const tooLarge = deployment({
        cluster: { nodes: 3, gpusPerNode: 8, accelerator: "H100" },
        pools: [{ role: "aggregated", replicas: 3, tensorParallel: 8 }],
      });
      await expect(run("up", tooLarge, "b")).rejects.toThrow(/capacity|nodes/i);
      await run("destroy", tooLarge, "b");
      expect(clusters(PREFIX)).toEqual([]);
    },
    LAUNCH_MS,
  );

  it(
    "converges after the whole of `up` was killed while it launched",
    async () => {
      project.configure("c", namespaced(deployment()));
      const up = startUp(project, "c");
      const deadline = Date.now() + 120_000;
      while (!/provisioning|setting up/.test(up.text()) && up.exitCode === null && Date.now() < deadline)
        await delay(100);
      expect(up.text()).toMatch(/provisioning|setting up/);
      process.kill(-(up.pid ?? expect.unreachable()), "SIGKILL");
      await run("up", deployment(), "c");
      expect(clusters(`${PREFIX}c-`)).toHaveLength(1);
      expect((await workers(4)).size).toBe(2);
      await run("destroy", deployment(), "c");
      expect(clusters(PREFIX)).toEqual([]);
    },
    LAUNCH_MS,
  );
});
