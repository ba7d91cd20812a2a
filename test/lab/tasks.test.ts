/** SkyPilot's own parsing of rendered tasks. Needs SkyPilot, but no lab. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type PlannedStack, planStack } from "../../cli/plannedStack";
import { readProject, stacksWithFiles } from "../../cli/pulumi/project";
import { recipePath, renderedStacks } from "../../cli/recipe";
import type { ConfigInput } from "../../config/schema";
import { Progress } from "../../lib/progress";
import { parseConfig } from "../../plan/config";
import { plan } from "../../plan/plan";
import { ensureOwnSkyPilot } from "../../toolchain/skypilot";
import { textOfTask } from "../runtime";
import { REPOSITORY } from "./harness";

const TIMEOUT = 600_000;

/** A task as parsed by SkyPilot. */
interface Loaded {
  readonly nodes: number;
  readonly hasSetup: boolean;
  readonly hasRun: boolean;
  /** One per candidate infra. */
  readonly resources: readonly Readonly<Record<string, unknown>>[];
}

/** Loading SkyPilot takes seconds, so all tasks are loaded in one process. */
const LOAD = `
import json, sys, sky
def read(path):
    task = sky.Task.from_yaml(path)
    return {
        "nodes": task.num_nodes, "hasSetup": bool(task.setup), "hasRun": bool(task.run),
        "resources": [{
            "infra": r.infra.to_str(), "accelerators": r.accelerators, "spot": r.use_spot, "disk": r.disk_size,
            "diskTier": r.disk_tier and r.disk_tier.value, "network": r.network_tier and r.network_tier.value,
            "image": r.extract_docker_image(), "ports": r.ports, "labels": r.labels, "cpus": r.cpus, "memory": r.memory,
            "autostop": r.autostop_config and [r.autostop_config.idle_minutes, r.autostop_config.down],
        } for r in task.resources],
    }
print(json.dumps([read(path) for path in sys.argv[1:]]))
`;

/** All options of SkyPilot at once. */
const EVERYTHING: ConfigInput = {
  model: "Qwen/Qwen3-8B",
  cluster: { nodes: 2 },
  pools: [{ role: "aggregated", replicas: 2, tensorParallel: 8 }],
  access: { gateway: true },
  huggingFaceToken: "hf_notARealToken",
  sky: {
    infra: ["aws/us-east-1", "gcp"],
    useSpot: true,
    retryUntilUp: true,
    autostopMinutes: 30,
    diskSizeGB: 500,
    diskTier: "best",
    networkTier: "best",
    image: "docker:ubuntu:24.04",
    cpus: "32+",
    memory: "256+",
    openEndpoint: true,
    labels: { team: "search" },
    envs: { NCCL_DEBUG: "INFO" },
    config: { gcp: { enable_gvnic: true } },
  },
};
/** A cluster for the control plane, and one per replica. */
const DEDICATED: ConfigInput = {
  model: "Qwen/Qwen3-8B",
  placement: "dedicated",
  pools: [
    { role: "prefill", tensorParallel: 4 },
    { role: "decode", replicas: 2, tensorParallel: 8 },
  ],
};

function tasksOf({ config, plan: planned }: Pick<PlannedStack, "config" | "plan">): string[] {
  return planned.clusters.map((cluster) =>
    textOfTask({
      cluster,
      config,
      controlIp: "10.0.0.1",
      endpointPort: planned.endpoint.port,
    }),
  );
}

function planned(input: ConfigInput) {
  const config = parseConfig(input);
  return { config, plan: plan(config, { discovery: "etcd", events: "nats" }) };
}

const stacks = stacksWithFiles(readProject(REPOSITORY)).filter(
  (stack) => planStack(stack, REPOSITORY).config.target === "sky",
);
const texts: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(stacks.map((stack) => [`stack ${stack}`, tasksOf(planStack(stack, REPOSITORY))])),
  ...Object.fromEntries(
    renderedStacks(REPOSITORY).map((stack) => [
      recipePath(stack),
      [readFileSync(join(REPOSITORY, recipePath(stack)), "utf8")],
    ]),
  ),
  everything: tasksOf(planned(EVERYTHING)),
  dedicated: tasksOf(planned(DEDICATED)),
};

describe("SkyPilot's own Task.from_yaml", { timeout: TIMEOUT }, () => {
  const home = mkdtempSync(join(tmpdir(), "sky-home-"));
  const loaded = new Map<string, Loaded[]>();
  beforeAll(async () => {
    const python = join(dirname(await ensureOwnSkyPilot(["slurm"], new Progress().line)), "python");
    const files = Object.values(texts)
      .flat()
      .map((text, index) => {
        const file = join(home, `${index}.sky.yaml`);
        writeFileSync(file, text);
        return file;
      });
    const env = { ...process.env, HOME: home, SKYPILOT_DISABLE_USAGE_COLLECTION: "1" };
    const output = execFileSync(python, ["-c", LOAD, ...files], { encoding: "utf8", env });
    const all: Loaded[] = JSON.parse(output.trim().split("\n").at(-1) ?? "");
    for (const [name, tasks] of Object.entries(texts)) loaded.set(name, all.splice(0, tasks.length));
  }, TIMEOUT);
  afterAll(() => rmSync(home, { recursive: true, force: true }));

  it.each(Object.keys(texts))("loads %s", (name) => {
    const tasks = loaded.get(name) ?? [];
    expect(tasks).toHaveLength(texts[name]?.length ?? 0);
    for (const { nodes, hasSetup, hasRun } of tasks) {
      expect(nodes).toBeGreaterThanOrEqual(1);
      expect({ hasSetup, hasRun }).toEqual({ hasSetup: true, hasRun: true });
    }
    const accelerators = tasks.flatMap(({ resources }) => resources.map((one) => one["accelerators"]));
    // A dedicated control plane cluster has none.
    expect(accelerators.filter((one) => one !== null).length).toBeGreaterThan(0);
  });

  it("understands every option as it was meant", () => {
    const [task] = loaded.get("everything") ?? [];
    expect(task?.nodes).toBe(2);
    const common = {
      accelerators: { H100: 8 },
      spot: true,
      disk: 500,
      diskTier: "best",
      network: "best",
      image: "ubuntu:24.04",
      ports: ["8000"],
      labels: { team: "search" },
      cpus: "32+",
      memory: "256+",
      autostop: [30, true],
    };
    const infra = (name: string) => expect.objectContaining({ ...common, infra: name });
    expect(task?.resources).toHaveLength(2);
    expect(task?.resources).toEqual(expect.arrayContaining([infra("aws/us-east-1"), infra("gcp")]));
  });

  it("has a task for every cluster of a dedicated placement", () => {
    const gpus = (loaded.get("dedicated") ?? []).map(({ resources }) => resources[0]?.["accelerators"]);
    expect(gpus).toEqual([null, { H100: 4 }, { H100: 8 }, { H100: 8 }]);
  });
});
