/**
 * Dynamo's simulated engine: registers, streams tokens and publishes KV events like a real one, without a
 * GPU. It simulates SGLang, so that a cluster can be rehearsed.
 *
 * It has no tensor parallelism. GPUs are counted as for a real engine, and a replica over several nodes has a
 * process on each: rank 0 serves; the others register in their own memory, where no frontend looks, so that
 * losing one is like losing a rank of a real engine. (A separate namespace would not work: a frontend of
 * Dynamo takes `--namespace dynamo`, the default, for all namespaces.)
 */

import { flagTable } from "../../config/flags";
import { modelPath } from "../../config/model";
import { gpusPerReplica } from "../../config/pools";
import { ROUTER_FLAGS, RUNTIME_FLAGS } from "../../config/reserved";
import { show } from "../../config/values";
import { BYTES_PER_GB } from "../../lib/units";
import { type Engine, extraArgs, extraEnv, type PoolProblem, type Rules, type WorkerSpec } from "../engine";
import { ALSO_SIMULATED } from "../sglang/series";
import flags from "./flags.json";

/** No encode workers: `RULES` reject them. */
const MODES = { aggregated: "agg", prefill: "prefill", decode: "decode", encode: "encode" } as const;

/** Mocker simulates scheduling and a KV cache; it has no GPU, no weights and no layers to cut. */
const RULES: Rules = {
  pool(pool) {
    const found: PoolProblem[] = [];
    const refuse = (key: PoolProblem["key"], what: string) =>
      found.push({
        key,
        message: `${show(pool[key])} has no meaning for engine mocker, which has no ${what}. Remove it, or use a real engine.`,
      });
    if (pool.role === "encode")
      found.push({
        key: "role",
        message: `"encode" is not there with engine mocker: Dynamo's simulated engine has no workers that look at pictures. Use a real engine, or remove the pool.`,
      });
    if (pool.pipelineParallel > 1) refuse("pipelineParallel", "layers to cut into stages");
    if (pool.expertParallel !== undefined) refuse("expertParallel", "experts");
    if (pool.gpuMemoryFraction !== undefined) refuse("gpuMemoryFraction", "GPU memory");
    return found;
  },
  whole({ trustRemoteCode }) {
    if (trustRemoteCode !== true) return [];
    const message =
      "true has no meaning for engine mocker, which loads no code of a model. Remove it, or use a real engine.";
    return [{ path: ["trustRemoteCode"], message }];
  },
};

/** Flags: `python -m dynamo.mocker --help`. */
export const mocker: Engine = {
  rules: RULES,
  table: flagTable(flags),
  unparsed: "has no meaning for engine mocker, whose text is made up. Remove it, or use a real engine.",
  // It simulates that engine, and has some of its series.
  series: ALSO_SIMULATED,
  reservedFlags: {
    ...RUNTIME_FLAGS,
    ...ROUTER_FLAGS,
    "--model-path": "model",
    "--model-name": "servedModelName",
    "--engine-type": undefined,
    "--sglang-page-size": "router.blockSize",
    "--block-size": "router.blockSize",
    "--disaggregation-mode": "pools[].role",
    "--data-parallel-size": "pools[].dataParallel",
    "--num-workers": "pools[].replicas",
    "--num-host-blocks": "kvOffload.hostMemoryGB",
    "--kv-bytes-per-token": "kvOffload.hostMemoryGB",
    "--is-prefill-worker": "pools[].role",
    "--is-decode-worker": "pools[].role",
  },
  // It registers for both, regardless of flags, and computes no vectors.
  taskFlags: { chat: [], completions: [] },
  alwaysSet: {
    "--engine-type": "its own default stands in for vLLM, this project's default engine is SGLang",
    "--block-size":
      "it simulates no model that could choose; its blocks of one token leave it a cache of 16384 tokens, and flood the event plane",
  },
  usesGpus: false,
  kind: ({ rank }) => (rank === 0 ? "worker" : "unseen"),
  ports: () => [],
  start(worker) {
    const { config, pool, rank } = worker;
    return {
      command: [
        ...["python3", "-m", "dynamo.mocker"],
        ...["--model-path", modelPath(config)],
        ...["--model-name", config.servedModelName],
        ...simulated(worker),
        ...["--disaggregation-mode", MODES[pool.role]],
        ...["--data-parallel-size", String(pool.dataParallel)],
        ...(rank > 0 ? ["--discovery-backend", "mem"] : []),
        ...extraArgs(worker),
      ],
      env: extraEnv(worker),
    };
  },
};

/** Tokens per block if `router.blockSize` is not set. */
const BLOCK_TOKENS = 16;

/**
 * Size of a token's keys and values, to convert an offload's gigabytes to blocks: Qwen3-8B's in bf16, with 36
 * layers, 8 KV heads and 128 dimensions each. Unit: bytes.
 */
const KV_BYTES_PER_TOKEN = 2 * 36 * 8 * 128 * 2;

/**
 * SGLang by default. With KV offloading vLLM, since the mocker has no offload for SGLang; host memory is
 * counted in blocks of each attention group, and there is no disk. Decode workers cache no prefixes, so they
 * offload nothing.
 */
function simulated({ config: { kvOffload, router }, pool }: WorkerSpec): string[] {
  const { hostMemoryGB } = kvOffload;
  const blockSize = router.blockSize ?? BLOCK_TOKENS;
  if (hostMemoryGB === undefined || pool.role === "decode")
    return ["--engine-type", "sglang", "--block-size", String(blockSize)];
  const bytes = (hostMemoryGB * BYTES_PER_GB * gpusPerReplica(pool)) / pool.dataParallel;
  const blocks = Math.floor(bytes / (KV_BYTES_PER_TOKEN * blockSize));
  return [
    ...["--engine-type", "vllm", "--block-size", String(blockSize)],
    ...["--num-host-blocks", String(blocks), "--kv-bytes-per-token", String(KV_BYTES_PER_TOKEN)],
  ];
}
