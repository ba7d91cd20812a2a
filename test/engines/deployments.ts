/** Random deployments that a model and an engine can really run, for asking the engine. */
import fc from "fast-check";
import { type Deployment, likelyDeployment } from "../unit/planShapes";
import type { ParsedEngine } from "./parser";

type Pool = NonNullable<Deployment["pools"]>[number];

/** 32 attention heads and 36 layers. */
const DENSE = "Qwen/Qwen3-8B";
/** 32 attention heads, 48 layers, 128 experts. */
const WITH_EXPERTS = "Qwen/Qwen3-30B-A3B";

/** More of what changes a command, on top of the layouts that the plan's property tests draw. */
const settings = fc.record({
  experts: fc.boolean(),
  expertParallel: fc.boolean(),
  contextLength: fc.constantFrom(undefined, 8192),
  trustRemoteCode: fc.boolean(),
  gpuMemoryFraction: fc.constantFrom(undefined, 0.8),
  modelRevision: fc.constantFrom(undefined, "main"),
  transfer: fc.boolean(),
  configured: fc.boolean(),
});

/** What goes by NIXL's other backend, or by another connector. */
const TRANSFERS = {
  sglang: { connector: "mooncake" },
  vllm: { backend: "LIBFABRIC" },
  trtllm: { connector: "UCX" },
} as const satisfies Readonly<Record<ParsedEngine, Deployment["kvTransfer"]>>;

/** Lists and groups, which no flag can say. */
const ENGINE_CONFIG = {
  cuda_graph_config: { batch_sizes: [1, 2, 4, 8] },
  kv_cache_config: { enable_block_reuse: true },
} as const;

/** The largest power of two that is not above a number: attention heads come in such numbers. */
const powerOfTwo = (limit: number) => 2 ** Math.floor(Math.log2(limit));

/** Deployments of an engine, a good share of which can be planned. */
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
      kvTransfer: more.transfer && pools.some(({ role }) => role === "prefill") ? TRANSFERS[engine] : {},
      engineConfig: more.configured && engine === "trtllm" ? ENGINE_CONFIG : {},
      // Which GPUs stay idle changes no command; how the rest is packed does.
      cluster: { ...drawn.cluster, allowIdleGpus: true },
      pools: pools.map((pool) => ({
        ...pool,
        gpuMemoryFraction: more.gpuMemoryFraction,
        expertParallel: hasExperts && expertParallel ? pool.tensorParallel * pool.dataParallel : undefined,
      })),
    } satisfies Deployment;
  });
}

function shape(engine: ParsedEngine, pool: Pool) {
  const dataParallel = pool.dataParallel ?? 1;
  // With TensorRT-LLM every attention group is one GPU.
  const most = engine === "trtllm" && dataParallel > 1 ? 1 : 16;
  return {
    tensorParallel: powerOfTwo(Math.min(pool.tensorParallel ?? 1, most)),
    dataParallel,
  };
}
