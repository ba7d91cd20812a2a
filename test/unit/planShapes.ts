/** Deployments of the documented shapes, and random ones, for the tests of the plan. */

import fc from "fast-check";
import type { DeepReadonly } from "../../config/deployment";
import { ConfigError } from "../../config/problems";
import { type ConfigInput, parseConfig } from "../../plan/config";
import { type PlanFacts, plan } from "../../plan/plan";
import { type DeploymentPlan, ENGINES, type ProgramPlan, programsOf } from "../../plan/types";

/** A deployment in a test, read-only. */
export type Deployment = DeepReadonly<ConfigInput>;

export const SERVICES: PlanFacts = { discovery: "etcd", events: "nats" };
export const NO_SERVICES: PlanFacts = { discovery: "file", events: "zmq" };

export function planned(input: Deployment, facts: PlanFacts = SERVICES): DeploymentPlan {
  return plan(parseConfig(input), facts);
}

/** @throws Error if the plan has no program of this name. */
export function programOf(from: DeploymentPlan, name: string): ProgramPlan {
  const found = programsOf(from).find((one) => one.name === name);
  if (found === undefined) throw new Error(`no program ${name}`);
  return found;
}

/** A program of the plan for this input. */
export function plannedProgram(input: Deployment, name: string): ProgramPlan {
  return programOf(planned(input), name);
}

/** Value of a flag in a command; undefined if it is not there. */
export function flagOf({ command }: Pick<ProgramPlan, "command">, flag: string): string | undefined {
  const at = command.indexOf(flag);
  return at < 0 ? undefined : command[at + 1];
}

/** Why there is no plan: each problem after its key. Empty if there is one. */
export function problemsOf(input: Deployment): string[] {
  try {
    planned(input);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ path, message }) => `${path.join(".")}: ${message}`);
  }
}

const qwen = { model: "Qwen/Qwen3-8B" } as const;

/** The documented shapes, by name of their stack. */
export const SHAPES = {
  dev: { ...qwen, target: "local", pools: [{ role: "prefill" }, { role: "decode", replicas: 2 }] },
  single: { ...qwen, pools: [{ role: "aggregated", replicas: 8 }], router: { mode: "round-robin" } },
  multi: {
    ...qwen,
    cluster: { nodes: 2 },
    pools: [{ role: "aggregated", tensorParallel: 8, dataParallel: 2 }],
  },
  disagg: {
    ...qwen,
    pools: [
      { role: "prefill", tensorParallel: 4 },
      { role: "decode", tensorParallel: 4 },
    ],
  },
  "disagg-multi": {
    ...qwen,
    cluster: { nodes: 2 },
    pools: [
      { role: "prefill", replicas: 2, tensorParallel: 4 },
      { role: "decode", replicas: 2, tensorParallel: 4 },
    ],
  },
  throughput: {
    ...qwen,
    cluster: { nodes: 2 },
    pools: [{ role: "aggregated", replicas: 8, tensorParallel: 2 }],
  },
  "deepseek-r1": {
    model: "deepseek-ai/DeepSeek-R1",
    trustRemoteCode: true,
    cluster: { nodes: 4 },
    pools: [
      { role: "prefill", tensorParallel: 8, dataParallel: 2, expertParallel: 16 },
      { role: "decode", tensorParallel: 1, dataParallel: 16, expertParallel: 16 },
    ],
  },
  vllm: {
    ...qwen,
    engine: "vllm",
    pools: [
      { role: "prefill", replicas: 2, tensorParallel: 2 },
      { role: "decode", replicas: 2, tensorParallel: 2 },
    ],
  },
  trtllm: {
    ...qwen,
    engine: "trtllm",
    pools: [
      { role: "prefill", replicas: 2, tensorParallel: 2 },
      { role: "decode", replicas: 2, tensorParallel: 2 },
    ],
  },
} as const satisfies Readonly<Record<string, Deployment>>;

const pool = (role: "aggregated" | "prefill" | "decode") =>
  fc.record({
    role: fc.constant(role),
    replicas: fc.integer({ min: 1, max: 6 }),
    tensorParallel: fc.constantFrom(1, 1, 2, 2, 3, 4, 5, 8, 16),
    dataParallel: fc.constantFrom(1, 1, 1, 2, 4),
    pipelineParallel: fc.constantFrom(1, 1, 1, 2),
  });

const pools = fc.oneof(
  fc.array(pool("aggregated"), { minLength: 1, maxLength: 3 }),
  fc
    .tuple(
      fc.array(pool("prefill"), { minLength: 1, maxLength: 2 }),
      fc.array(pool("decode"), { minLength: 1, maxLength: 2 }),
    )
    .map((both) => both.flat()),
);

/** Any layout with any engine; most combinations are invalid. */
export const randomDeployment = fc.record({
  model: fc.constant("Qwen/Qwen3-8B"),
  target: fc.constantFrom("sky" as const, "local" as const),
  engine: fc.constantFrom(...ENGINES),
  pools,
  placement: fc.constantFrom("shared" as const, "shared" as const, "dedicated" as const),
  cluster: fc.record({
    nodes: fc.integer({ min: 1, max: 8 }),
    gpusPerNode: fc.constantFrom(1, 4, 6, 8, 8, 8),
    allowIdleGpus: fc.boolean(),
  }),
  router: fc.record({
    mode: fc.constantFrom("kv" as const, "round-robin" as const),
    blockSize: fc.constantFrom(undefined, 16, 32, 64),
    kvEvents: fc.boolean(),
  }),
  frontend: fc.record({ replicas: fc.integer({ min: 1, max: 3 }) }),
  kvOffload: fc.constantFrom({}, {}, { hostMemoryGB: 10 }, { hostMemoryGB: 10, diskGB: 100 }),
});

type Drawn = typeof randomDeployment extends fc.Arbitrary<infer T> ? T : never;

/** Removes features that the engine does not support, and adds enough nodes. */
function fitting(drawn: Drawn): Deployment {
  const { engine, placement, cluster } = drawn;
  const isDedicated = placement === "dedicated";
  const trimmed = drawn.pools.map((one) => ({
    ...one,
    tensorParallel: engine === "trtllm" && one.dataParallel > 1 ? 1 : one.tensorParallel,
    pipelineParallel: engine === "mocker" ? 1 : one.pipelineParallel,
  }));
  const sizes = trimmed.flatMap((one) =>
    new Array<number>(one.replicas).fill(one.tensorParallel * one.dataParallel * one.pipelineParallel),
  );
  const nodes = sizes.reduce((sum, size) => sum + Math.ceil(size / cluster.gpusPerNode), 0);
  return {
    ...drawn,
    pools: trimmed,
    // Required by SGLang with a disk.
    router: {
      ...drawn.router,
      ...("diskGB" in drawn.kvOffload ? { blockSize: drawn.router.blockSize ?? 64 } : {}),
    },
    target: isDedicated ? "sky" : drawn.target,
    cluster: { ...cluster, nodes: isDedicated ? 1 : Math.max(1, nodes - (nodes % 3)) },
  };
}

/** Deployments many of which can be planned. */
export const likelyDeployment: fc.Arbitrary<Deployment> = randomDeployment.map(fitting);
