/** Random valid deployments for a model and an engine, to test against the engine. */

import fc from "fast-check";
import { NO_PARSER } from "../../config/names";
import { REASONING_PARSERS, TOOL_CALL_PARSERS } from "../../config/parsers";
import { type Deployment, likelyDeployment } from "../unit/planShapes";
import type { ParsedEngine } from "./parser";

type Pool = NonNullable<Deployment["pools"]>[number];

/** 32 attention heads and 36 layers. */
const DENSE = "Qwen/Qwen3-8B";
/** 32 attention heads, 48 layers, 128 experts. */
const WITH_EXPERTS = "Qwen/Qwen3-30B-A3B";

/** Further settings that change a command, in addition to the layouts of the plan's property tests. */
const settings = fc.record({
  experts: fc.boolean(),
  expertParallel: fc.boolean(),
  contextLength: fc.constantFrom(undefined, 8192),
  trustRemoteCode: fc.boolean(),
  gpuMemoryFraction: fc.constantFrom(undefined, 0.8),
  modelRevision: fc.constantFrom(undefined, "main"),
  reasoningParser: fc.constantFrom(undefined, NO_PARSER, ...REASONING_PARSERS),
  toolCallParser: fc.constantFrom(undefined, NO_PARSER, ...TOOL_CALL_PARSERS),
  transfer: fc.option(fc.nat(), { nil: undefined }),
  configured: fc.boolean(),
  hostMemoryGB: fc.constantFrom(undefined, undefined, 2.5, 20),
});

/** NIXL's other backend, and other connectors. */
const TRANSFERS = {
  sglang: [{ connector: "mooncake" }],
  vllm: [
    ...[{ backend: "LIBFABRIC" }, { connector: "MooncakeConnector" }],
    { connector: "SimpleCPUOffloadConnector", extra: { cpu_bytes_to_use: 1e9 } },
    { connector: "SimpleCPUOffloadConnector", extra: { kv_load_failure_policy: "recompute" } },
  ],
  trtllm: [{ connector: "UCX" }],
} as const satisfies Readonly<Record<ParsedEngine, readonly Deployment["kvTransfer"][]>>;

/** Lists and groups, which have no flags. */
const ENGINE_CONFIG = {
  cuda_graph_config: { batch_sizes: [1, 2, 4, 8] },
  kv_cache_config: { enable_block_reuse: true },
} as const;

/** The largest power of two up to a number: numbers of attention heads are powers of two. */
const powerOfTwo = (limit: number) => 2 ** Math.floor(Math.log2(limit));

function transferOf(engine: ParsedEngine, drawn: number | undefined): Deployment["kvTransfer"] {
  const transfers = TRANSFERS[engine];
  return drawn === undefined ? {} : transfers[drawn % transfers.length];
}

/** Deployments of an engine, many of which can be planned. */
export function deploymentOf(engine: ParsedEngine): fc.Arbitrary<Deployment> {
  return fc.tuple(likelyDeployment, settings).map(([drawn, { experts, expertParallel, ...more }]) => {
    const pools = (drawn.pools ?? []).map((pool) => ({ ...pool, ...shape(engine, pool) }));
    // vLLM runs several attention groups on several nodes only for models with experts.
    const hasExperts = experts || (engine === "vllm" && pools.some(({ dataParallel }) => dataParallel > 1));
    return {
      ...drawn,
      engine,
      target: "sky",
      model: hasExperts ? WITH_EXPERTS : DENSE,
      contextLength: more.contextLength,
      trustRemoteCode: more.trustRemoteCode,
      modelRevision: more.modelRevision,
      reasoningParser: more.reasoningParser,
      toolCallParser: more.toolCallParser,
      kvTransfer: pools.some(({ role }) => role === "prefill") ? transferOf(engine, more.transfer) : {},
      kvOffload: { hostMemoryGB: more.hostMemoryGB },
      engineConfig: more.configured && engine === "trtllm" ? ENGINE_CONFIG : {},
      // Idle GPUs do not change a command; how the rest is packed does.
      cluster: { ...drawn.cluster, allowIdleGpus: true },
      pools: pools.map((pool) => ({
        ...pool,
        gpuMemoryFraction: more.gpuMemoryFraction,
        expertParallel: hasExperts && expertParallel ? pool.tensorParallel * pool.dataParallel : undefined,
      })),
    } satisfies Deployment;
  });
}

/** Deployments of the mocker, which has no layers to cut into stages. */
export const simulatedDeployment: fc.Arbitrary<Deployment> = likelyDeployment.map((drawn) => ({
  ...drawn,
  engine: "mocker",
  cluster: { ...drawn.cluster, allowIdleGpus: true },
  pools: drawn.pools?.map((pool) => ({ ...pool, pipelineParallel: undefined })),
}));

function shape(engine: ParsedEngine, pool: Pool) {
  const dataParallel = pool.dataParallel ?? 1;
  // With TensorRT-LLM every attention group is one GPU.
  const most = engine === "trtllm" && dataParallel > 1 ? 1 : 16;
  return {
    tensorParallel: powerOfTwo(Math.min(pool.tensorParallel ?? 1, most)),
    dataParallel,
  };
}
