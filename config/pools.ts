import { WORKER_ROLES } from "./names";
import { plainObject } from "./plain";
import { updateSchema } from "./update";
import {
  ALL_DEFAULTS,
  decimal,
  environment,
  flag,
  list,
  oneOf,
  optional,
  required,
  section,
  setting,
  text,
  whole,
} from "./values";

/** SkyPilot's name of an accelerator: `H100`, `A100-80GB`, `RTX6000-Ada`. */
export const acceleratorName = () =>
  text({
    noun: "the name of an accelerator",
    allowed: "a name from `sky gpus list` without a count, such as H100 or A100-80GB",
    // On Slurm these are the types of its GRES, such as 3g.40gb.
    pattern: /^[A-Za-z0-9][\w.+-]*$/,
  });

/** One argument of an argv; may be empty, and may have any characters except line breaks and NUL. */
export const argument = () =>
  text({
    noun: "an argument",
    allowed:
      'text on one line, a flag and its value as two arguments or with =, such as "--max-running-requests", "64"',
    pattern: /^(?!--?[\w-]+\s)[^\n\r\0]*$/,
  });

const parallel = () => whole({ min: 1, max: 1024 });

const replicas = () => whole({ min: 1, max: 10_000 });

const spotSchema = section({
  use: optional(flag(), {
    absent: "`sky.useSpot`",
    about:
      "Whether its replicas are on spot instances: cheaper, and can be taken away. Needs placement `dedicated`, where each has a cluster of its own; that of the control plane never is.",
  }),
  onDemandBase: setting(whole({ min: 0, max: 10_000 }), {
    default: 0,
    unit: "copies of the model",
    about: "So many of its replicas, the first ones, are on demand all the same.",
  }),
  fallback: setting(flag(), {
    default: false,
    about:
      "On demand instead, where there is no spot instance; `dynamo-sky operate` tries spot again later. What counts for `limits.dollarsPerHour` is then the price on demand.",
  }),
});

const poolSchema = section({
  role: required(oneOf("a role", WORKER_ROLES), {
    about:
      "What its workers do: whole requests (`aggregated`), one of the two phases (`prefill`, `decode`), or the pictures of a vision-language model for either (`encode`).",
  }),
  replicas: optional(replicas(), {
    absent: "1, or `minReplicas`",
    unit: "copies of the model",
    about: "How many workers of this kind there are; with `maxReplicas`, to begin with.",
  }),
  minReplicas: optional(replicas(), {
    absent: "1",
    unit: "copies of the model",
    about: "The fewest that the planner may leave (`autoscale`).",
  }),
  maxReplicas: optional(replicas(), {
    absent: "`replicas`: their number does not change",
    unit: "copies of the model",
    about:
      "The most that the planner may ask for (`autoscale`). With placement shared, nodes and GPUs for so many must be there.",
  }),
  tensorParallel: setting(parallel(), {
    default: 1,
    unit: "GPUs",
    about: "GPUs that share one attention group.",
  }),
  dataParallel: setting(parallel(), {
    default: 1,
    unit: "attention groups",
    about:
      "Attention groups of a replica. A replica uses tensorParallel × dataParallel × pipelineParallel GPUs.",
  }),
  pipelineParallel: setting(parallel(), {
    default: 1,
    unit: "stages",
    about: "Stages that the model's layers are cut into.",
  }),
  expertParallel: optional(parallel(), {
    absent: "the engine's own choice",
    unit: "GPUs",
    about: "GPUs over which the experts of a mixture-of-experts model are spread.",
  }),
  engineArgs: setting(list("arguments", argument()), {
    default: [],
    about: "More arguments for the engine, after the top-level `engineArgs`.",
  }),
  engineConfig: setting(plainObject("an object with keys of TensorRT-LLM's configuration"), {
    default: {},
    about: "More of the engine's own configuration, over the top-level `engineConfig`.",
  }),
  engineEnv: setting(environment(), {
    default: {},
    about: "More environment variables for the engine, over the top-level `engineEnv`.",
  }),
  accelerator: optional(acceleratorName(), {
    absent: "`cluster.accelerator`",
    about:
      "Accelerator of this pool's nodes, where each replica has a cluster of its own (`placement: dedicated`).",
  }),
  spot: setting(spotSchema, { ...ALL_DEFAULTS, about: "Which of its replicas are on spot instances." }),
  gpuMemoryFraction: optional(decimal({ min: 0, max: 1, above: true }), {
    absent: "the engine's own choice",
    unit: "fraction of GPU memory",
    about: "GPU memory for weights and KV cache together.",
  }),
  update: setting(updateSchema, { ...ALL_DEFAULTS, about: "How running workers are changed." }),
});

export const poolsSchema = list("pools", poolSchema, 1);

interface Numbered {
  readonly replicas?: number | undefined;
  readonly minReplicas?: number | undefined;
  readonly maxReplicas?: number | undefined;
}

/** Whether the number of a pool's replicas changes with the load. */
export const isScaled = ({ maxReplicas }: Numbered): boolean => maxReplicas !== undefined;

/** How many replicas a pool has to begin with. */
export const firstReplicas = ({ replicas, minReplicas = 1 }: Numbered): number => replicas ?? minReplicas;

/** How many it may have. */
export const mostReplicas = (pool: Numbered): number => pool.maxReplicas ?? firstReplicas(pool);

/** That machines are spot instances. */
export interface Spot {
  /** Whether they are on demand instead where there is none. */
  readonly fallback: boolean;
}

/** A pool's own word on spot instances, or the deployment's (`sky.useSpot`). */
export const usesSpot = ({ spot }: SpotPool, useSpot: boolean): boolean => spot.use ?? useSpot;

/**
 * How a replica of a pool is on spot instances; undefined if it is on demand.
 *
 * @param index Within its pool.
 */
export function spotOf(pool: SpotPool, useSpot: boolean, index: number): Spot | undefined {
  const { onDemandBase, fallback } = pool.spot;
  return usesSpot(pool, useSpot) && index >= onDemandBase ? { fallback } : undefined;
}

interface SpotPool {
  readonly spot: {
    readonly use?: boolean | undefined;
    readonly onDemandBase: number;
    readonly fallback: boolean;
  };
}

/** Sizes of a replica, by key of the pool. */
export const PARALLEL_KEYS = ["tensorParallel", "dataParallel", "pipelineParallel"] as const;

/** GPUs of one replica, each counted once. */
export function gpusPerReplica(pool: Readonly<Record<(typeof PARALLEL_KEYS)[number], number>>): number {
  return PARALLEL_KEYS.reduce((gpus, key) => gpus * pool[key], 1);
}
