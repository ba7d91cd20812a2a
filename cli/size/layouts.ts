/** From AIConfigurator's predictions to layouts that can be deployed here, with their cost. Pure. */
import type { DeploymentConfig } from "../../config/deployment";
import { gpusPerReplica } from "../../config/pools";
import { ConfigError } from "../../config/problems";
import { type ConfigInput, parseConfig } from "../../plan/config";
import { factsOf } from "../../plan/facts";
import { plan } from "../../plan/plan";
import type { DeploymentPlan } from "../../plan/types";
import { GPUS_OF_A_NODE } from "./accelerators";
import type { PredictedRole, Prediction } from "./aiconfigurator";
import { tokensWanted } from "./need";
import type { SizeOptions } from "./options";
import { prefixLoadOf } from "./prefixes";

/** A prediction with what it is of. */
export interface Candidate extends Prediction {
  readonly engine: string;
  readonly accelerator: string;
  /** The engine's version that was measured. */
  readonly version: string;
  readonly moe: boolean;
}

/** A layout that the plan accepts and that leaves no GPU idle. */
export interface Layout extends Candidate {
  /** What a stack with it says. */
  readonly config: ConfigInput;
  readonly parsed: DeploymentConfig;
  readonly plan: DeploymentPlan;
  readonly nodes: number;
  readonly gpus: number;
}

/** A layout with its price; null where it is not known. */
export interface Priced extends Layout {
  readonly dollarsPerHour: number | null;
  /** For a million generated tokens, at the load that is asked for, or else at the predicted throughput. */
  readonly dollarsPerMillionTokens: number | null;
  /** The same on spot machines. */
  readonly spotDollarsPerHour: number | null;
  readonly spotDollarsPerMillionTokens: number | null;
  /** For a load whose prompts share beginnings. */
  readonly cached?: Cached;
}

/** What a layout gives when a part of the prompts is in a cache; null where AIConfigurator does not say. */
export interface WithCache {
  /** The part of the prompts' tokens that a worker has in its cache. */
  readonly share: number;
  readonly ttft: number | null;
  readonly tpot: number | null;
  readonly tokensPerSecondPerGpu: number | null;
  readonly requestsPerSecond: number | null;
  readonly dollarsPerMillionTokens: number | null;
}

/** A simulation of the caches of a layout, and what AIConfigurator says of it. */
export interface Cached {
  /** Who simulates. */
  readonly by: string;
  /** Of how many requests. */
  readonly requests: number;
  /** The KV cache of a worker, and who says so. */
  readonly caches: readonly {
    readonly role: PredictedRole["role"];
    readonly tokens: number;
    readonly from: string;
  }[];
  readonly roundRobin: WithCache;
  /** With the KV-aware router. */
  readonly kv: WithCache;
}

/** Why a prediction is not offered. */
export interface Refused {
  readonly candidate: Candidate;
  readonly reason: string;
}

type Pool = NonNullable<ConfigInput["pools"]>[number];

/** The layout, or why the plan cannot have it. */
export function layoutOf(candidate: Candidate, options: SizeOptions): Layout | Refused {
  const cut = candidate.roles.find(({ cp }) => cp > 1);
  if (cut) return { candidate, reason: `a prompt cut into ${cut.cp} parts (context parallelism)` };
  const config = configOf(candidate, options);
  try {
    const parsed = parseConfig(config);
    const planned = plan(
      parsed,
      factsOf(parsed, () => true),
    );
    const idle = planned.clusters.flatMap(({ nodes }) => nodes.flatMap(({ idleGpus }) => idleGpus)).length;
    if (idle > 0) return { candidate, reason: `${idle} idle GPUs` };
    const gpus = parsed.pools.reduce((sum, pool) => sum + pool.replicas * gpusPerReplica(pool), 0);
    const nodes = planned.clusters.reduce((sum, cluster) => sum + cluster.nodes.length, 0);
    return { ...candidate, config, parsed, plan: planned, nodes, gpus };
  } catch (error) {
    if (error instanceof ConfigError) return { candidate, reason: error.message };
    throw error;
  }
}

export const isRefused = (one: Layout | Refused): one is Refused => "reason" in one;
export const isLayout = (one: Layout | Refused): one is Layout => !isRefused(one);

function configOf(candidate: Candidate, options: SizeOptions): ConfigInput {
  const { model, need, infra } = options;
  const gpus = "gpus" in need ? need.gpus : gpusTaken(candidate);
  const nodes = Math.ceil(gpus / GPUS_OF_A_NODE);
  return {
    model,
    engine: candidate.engine as NonNullable<ConfigInput["engine"]>,
    cluster: { nodes, gpusPerNode: gpus / nodes, accelerator: candidate.accelerator },
    pools: candidate.roles.map((role) => poolOf(role, candidate.moe)),
    ...(prefixLoadOf(options) === undefined ? {} : { router: { mode: "kv" as const } }),
    ...(infra.length > 0 ? { sky: { infra: [...infra] } } : {}),
  };
}

/** Numbers of a KV cache that engines have unless their arguments or the checkpoint say otherwise. */
const USUAL_CACHE = "bfloat16";

/**
 * The numbers of the KV cache that was predicted with, where they are smaller than usual: a stack asks for
 * none. AIConfigurator has fp8 for checkpoints with weights of fp8 and nvfp4, whatever these say of the
 * cache: https://github.com/ai-dynamo/aiconfigurator/blob/v0.12.0/aic-core/src/aiconfigurator_core/sdk/models/helpers.py
 */
export function assumedCache({ roles }: Prediction): string | undefined {
  return roles.map(({ quantization }) => quantization["kvcache"]).find((numbers) => numbers !== USUAL_CACHE);
}

function gpusTaken({ roles }: Candidate): number {
  return roles.reduce((sum, { replicas, tp, dp, pp }) => sum + replicas * tp * dp * pp, 0);
}

/** Sizes of 1 are the default, but for experts: without a number the engine would choose. */
function poolOf({ role, replicas, tp, dp, pp, moeEp }: PredictedRole, moe: boolean): Pool {
  return {
    role,
    replicas,
    tensorParallel: tp,
    ...(dp > 1 ? { dataParallel: dp } : {}),
    ...(pp > 1 ? { pipelineParallel: pp } : {}),
    ...(moe ? { expertParallel: moeEp } : {}),
  };
}

/** US dollars an hour for a whole deployment; null where they are not known. */
interface Dollars {
  readonly onDemand: number | null;
  readonly spot: number | null;
}

export function priced(layout: Layout, { onDemand, spot }: Dollars, { need, osl }: SizeOptions): Priced {
  const given = { ...layout, tokensPerSecond: layout.tokensPerSecondPerGpu * layout.gpus };
  const tokensPerHour = tokensWanted(need, given, osl) * 3600;
  const perMillion = (dollars: number | null) => (dollars === null ? null : (dollars / tokensPerHour) * 1e6);
  return {
    ...layout,
    dollarsPerHour: onDemand,
    dollarsPerMillionTokens: perMillion(onDemand),
    spotDollarsPerHour: spot,
    spotDollarsPerMillionTokens: perMillion(spot),
  };
}
