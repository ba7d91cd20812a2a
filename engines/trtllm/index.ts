/**
 * TensorRT-LLM under `python -m dynamo.trtllm`.
 *
 * Flags: https://github.com/ai-dynamo/dynamo/blob/v1.6.1/components/src/dynamo/trtllm/backend_args.py.
 * Options without a flag are passed to the engine as `--trtllm.<group>.<key>`, which excludes
 * `--override-engine-args`.
 *
 * A replica over several nodes is one MPI world with a rank per GPU, all started by `mpirun` on the first
 * node (`mpi.ts`):
 * https://github.com/ai-dynamo/dynamo/blob/v1.6.1/docs/backends/trtllm/multinode/trtllm-multinode-examples.md.
 * Every rank runs https://github.com/NVIDIA/TensorRT-LLM/blob/main/tensorrt_llm/llmapi/trtllm-llmapi-launch,
 * which is Dynamo's worker on rank 0, and waits for work on the others.
 */

import type { DeploymentConfig, PoolConfig } from "../../config/deployment";
import { flagTable } from "../../config/flags";
import { modelPath } from "../../config/model";
import { NAMESPACE } from "../../config/names";
import type { Json, PlainObject } from "../../config/plain";
import { reservedFlag, spelling, WORKER_FLAGS } from "../../config/reserved";
import { BYTES_PER_GB } from "../../lib/units";
import {
  blockSizeProblem,
  disaggregated,
  type Engine,
  extraArgs,
  extraEnv,
  FORWARD_PASS_VARIABLE,
  flag,
  hasEncoders,
  keepsPrefixes,
  option,
  otherModel,
  type PoolProblem,
  parserFlags,
  publishesKvEvents,
  type ReplicaSpec,
  type ReservedFlags,
  type Rules,
  type SettingFlags,
  tellsPlanner,
  valuesOf,
  type WorkerCommand,
  type WorkerSpec,
  world,
} from "../engine";
import { isGroup, merged } from "../engineConfig";
import { connectorOf, KVBM, type TransferRules } from "../transfer";
import { connectorProblems } from "./connector";
import flags from "./flags.json";
import { FORMER_KEYS, LLM_KEYS } from "./keys";
import { mpiDaemon, mpiPorts, mpirun } from "./mpi";
import { SERIES } from "./series";

/** Prefix of `dynamo.trtllm` for a key of the engine's configuration: `--trtllm.<group>.<key>`. */
const KEY_FLAG = "--trtllm.";

const MODES = { aggregated: "agg", prefill: "prefill", decode: "decode", encode: "encode" } as const;

/** Command of every rank of a replica over several nodes, followed by the worker's command. */
const LAUNCHER = "trtllm-llmapi-launch";

const usesDp = ({ pool }: ReplicaSpec): boolean => pool.dataParallel > 1;

/**
 * Keys of the engine's own configuration set by the plan, as in `engineConfig`; a group includes all its
 * keys.
 */
const RESERVED_KEYS: ReservedFlags = {
  model: "model",
  tensor_parallel_size: "pools[].tensorParallel",
  pipeline_parallel_size: "pools[].pipelineParallel",
  moe_expert_parallel_size: "pools[].expertParallel",
  enable_attention_dp: "pools[].dataParallel",
  context_parallel_size: undefined,
  // Who starts the ranks: MPI, if nothing is said (`mpi.ts`).
  orchestrator_type: undefined,
  gpus_per_node: "cluster.gpusPerNode",
  "kv_cache_config.tokens_per_block": "router.blockSize",
  "cache_transceiver_config.backend": "kvTransfer.connector",
  "kv_cache_config.host_cache_size": "kvOffload.hostMemoryGB",
};

/** Each key as a flag. */
function flagsOfKeys<V>(keys: Readonly<Record<string, V>>): Record<string, V> {
  return Object.fromEntries(Object.entries(keys).map(([key, value]) => [`${KEY_FLAG}${key}`, value]));
}

const RESERVED: ReservedFlags = {
  "--revision": "modelRevision",
  ...WORKER_FLAGS,
  ...flagsOfKeys(RESERVED_KEYS),
  // As a whole it can be checked.
  [`${KEY_FLAG}kv_connector_config`]: "engineConfig.kv_connector_config",
  "--model": "model",
  "--model-path": "model",
  "--served-model-name": "servedModelName",
  "--endpoint-types": "task",
  "--dyn-endpoint-types": "task",
  "--tensor-parallel-size": "pools[].tensorParallel",
  "--pipeline-parallel-size": "pools[].pipelineParallel",
  "--expert-parallel-size": "pools[].expertParallel",
  "--enable-attention-dp": "pools[].dataParallel",
  "--gpus-per-node": "cluster.gpusPerNode",
  "--kv-block-size": "router.blockSize",
  "--publish-kv-events": "router.kvEvents",
  "--publish-events-and-metrics": "router.kvEvents",
  "--disaggregation-mode": "pools[].role",
  "--encode-endpoint": "pools[].role",
  "--connector": "kvOffload",
  // It excludes the `--trtllm.*` flags of the plan; in `engineConfig` its values are merged with them.
  "--override-engine-args": "engineConfig",
};

/** Its one value besides `none` is `kvbm`. */
const REFUSED = { "--connector": `is for ${KVBM}. Use kvOffload.hostMemoryGB.` };

/** Keys that the plan sets for a setting, and the user may where that setting is not used. */
const SETTING_KEYS = {
  max_seq_len: "contextLength",
  "kv_cache_config.free_gpu_memory_fraction": "pools[].gpuMemoryFraction",
  trust_remote_code: "trustRemoteCode",
  revision: "modelRevision",
} as const satisfies SettingFlags;

function plannedKeys(config: DeploymentConfig, pool: PoolConfig): Record<string, Json | undefined> {
  const hands = pool.role === "prefill" || pool.role === "decode";
  return {
    ...sizes(pool),
    model: modelPath(config),
    gpus_per_node: config.cluster.gpusPerNode,
    "kv_cache_config.tokens_per_block": config.router.blockSize,
    "cache_transceiver_config.backend": hands ? connectorOf(TRANSFER, config.kvTransfer) : undefined,
  };
}

const TRANSFER: TransferRules = {
  connectors: {
    DEFAULT: "transfer",
    NIXL: "transfer",
    UCX: "transfer",
    MOONCAKE: "transfer",
    MPI: "transfer",
  },
  usual: "DEFAULT",
  byNixl: ["DEFAULT", "NIXL"],
  // https://nvidia.github.io/TensorRT-LLM/features/disagg-serving.html
  nixlBackends: ["UCX", "LIBFABRIC"],
  takesExtra: [],
  insteadOfExtra: "engineConfig.cache_transceiver_config",
};

/**
 * Attention data parallelism is a switch in TensorRT-LLM that makes every rank a group: `dynamo.trtllm
 * --enable-attention-dp`.
 */
const RULES: Rules = {
  pool(pool) {
    const { dataParallel, expertParallel, tensorParallel } = pool;
    const found: PoolProblem[] = [];
    if (dataParallel > 1 && tensorParallel > 1) {
      found.push({
        key: "dataParallel",
        message: `${dataParallel} with tensorParallel ${tensorParallel} is not possible with engine trtllm, where every attention group is one GPU (--enable-attention-dp). Use tensorParallel 1 with dataParallel ${dataParallel * tensorParallel}, or dataParallel 1 with tensorParallel ${dataParallel * tensorParallel}.`,
      });
    }
    if (expertParallel !== undefined && world(pool) % expertParallel !== 0) {
      found.push({
        key: "expertParallel",
        message: `${expertParallel} does not divide the ${world(pool)} GPUs of tensorParallel × dataParallel, as engine trtllm demands (--expert-parallel-size). Use a divisor of ${world(pool)}.`,
      });
    }
    return found;
  },
  // https://nvidia.github.io/TensorRT-LLM/features/kvcache.html: tokens per block must be a power of two.
  whole: ({ router }) =>
    blockSizeProblem(router?.blockSize, "trtllm", "a power of two", (n) => Number.isInteger(Math.log2(n))),
};

export const trtllm: Engine = {
  // PyPI has it as a source package alone, which downloads the rest from NVIDIA.
  release: { pypi: "1.3.0rc29", image: "1.3.0rc29", imageName: "tensorrtllm-runtime" },
  rules: RULES,
  table: flagTable(flags),
  notation: { other: (name) => (name.startsWith(KEY_FLAG) ? "one" : undefined) },
  keyFlag: KEY_FLAG,
  disk: { refused: "which offloads to host memory alone" },
  reservedVariables: {
    DYN_TRTLLM_PUBLISH_EVENTS_AND_METRICS: "router.kvEvents",
  },
  cautionAcrossNodes: [
    "TensorRT-LLM over several nodes is experimental: it has not run on real nodes yet. Rehearse it with a small model " +
      "first (docs/decisions/0007-tensorrt-llm-over-several-nodes-by-mpi.md).",
  ],
  series: SERIES,
  reservedFlags: RESERVED,
  taskFlags: { chat: [], completions: ["--endpoint-types", "completions"] },
  reservedKeys: RESERVED_KEYS,
  refusedFlags: REFUSED,
  plannedKeys,
  configProblems: connectorProblems,
  knownKeys: LLM_KEYS,
  formerKeys: FORMER_KEYS,
  settingFlags: {
    "--max-seq-len": "contextLength",
    "--free-gpu-memory-fraction": "pools[].gpuMemoryFraction",
    ...flagsOfKeys(SETTING_KEYS),
  },
  settingKeys: SETTING_KEYS,
  settingVariables: {
    TRTLLM_NIXL_KVCACHE_BACKEND: "kvTransfer.backend",
    [FORWARD_PASS_VARIABLE]: "pools[].maxReplicas",
  },
  transfer: TRANSFER,
  alwaysSet: {
    "--trtllm.cache_transceiver_config.backend": "without one TensorRT-LLM moves no KV blocks at all",
    "--trtllm.disable_overlap_scheduler": "its overlap scheduler does not work in a prefill worker",
  },
  usesGpus: true,
  otherModels: ({ args, config }) => DRAFT_KEYS.flatMap((key) => draftIn(args, config, key)),
  kind: ({ rank }) => (rank === 0 ? "worker" : "bare"),
  ports: (spec) => (spec.nodes > 1 ? mpiPorts(spec) : []),
  start(worker) {
    if (worker.rank > 0) return mpiDaemon(worker, { ...transferEnv(worker), ...extraEnv(worker) });
    const served = serve(worker);
    return worker.nodes > 1 ? mpirun(worker, LAUNCHER, served) : served;
  },
  /** The daemon's ranks have no health endpoint; rank 0's worker shows whether they work. */
  bareHealth: ({ leader, leaderPorts }) => ({
    kind: "http",
    url: `http://${leader}:${leaderPorts.system}/health`,
  }),
};

/** The serving worker. */
function serve(worker: WorkerSpec): WorkerCommand {
  return {
    command: [
      ...["python3", "-m", "dynamo.trtllm"],
      ...modelFlags(worker),
      ...parallelFlags(worker),
      ...["--disaggregation-mode", MODES[worker.pool.role]],
      ...pictureFlags(worker),
      ...cacheFlags(worker),
      ...engineConfigFlags(worker),
      ...extraArgs(worker),
    ],
    env: {
      ...transferEnv(worker),
      // The port is of no use to it, the variable is.
      ...(tellsPlanner(worker) ? { [FORWARD_PASS_VARIABLE]: "1" } : {}),
      ...extraEnv(worker),
    },
  };
}

/** What the model that drafts tokens is called in `speculative_config`, today and before. */
const DRAFT_KEYS = ["speculative_model", "speculative_model_dir"];

/** https://nvidia.github.io/TensorRT-LLM/features/speculative-decoding.html */
function draftIn(args: readonly string[], { speculative_config: group }: PlainObject, key: string) {
  const flag = spelling(`${KEY_FLAG}speculative_config.${key}`);
  return otherModel(valuesOf(args, [flag]).at(-1) ?? (isGroup(group) ? group[key] : undefined));
}

function modelFlags(worker: WorkerSpec): string[] {
  const { config } = worker;
  return [
    ...["--model", modelPath(config)],
    ...option("--revision", config.modelRevision),
    ...["--served-model-name", config.servedModelName],
    ...(trtllm.taskFlags[config.task] ?? []),
    ...parserFlags(worker),
    ...option("--max-seq-len", config.contextLength),
  ];
}

/** With attention data parallelism every GPU is a group, and `--tensor-parallel-size` is their number. */
function parallelFlags(worker: WorkerSpec): string[] {
  const { pool } = worker;
  return [
    ...["--tensor-parallel-size", String(pool.tensorParallel * pool.dataParallel)],
    ...flag("--enable-attention-dp", usesDp(worker)),
    ...(pool.pipelineParallel > 1 ? ["--pipeline-parallel-size", String(pool.pipelineParallel)] : []),
    ...option("--expert-parallel-size", pool.expertParallel),
  ];
}

function cacheFlags(worker: WorkerSpec): string[] {
  return [
    // Dynamo registers the engine's value; its own is for an engine that reports none.
    ...option("--kv-block-size", worker.config.router.blockSize),
    ...flag("--publish-kv-events", publishesKvEvents(worker)),
  ];
}

/**
 * The plan's part of the engine's own configuration. The group `kv_cache_config` replaces the values of
 * Dynamo's flags, so it must be complete. The fraction is of the memory that is free after loading the
 * weights, unlike with the other engines.
 */
function planned(worker: WorkerSpec): PlainObject {
  const { config, pool } = worker;
  const { blockSize } = config.router;
  return {
    // Dynamo finds the model's files by its own flag, the engine by this.
    ...(config.modelRevision === undefined ? {} : { revision: config.modelRevision }),
    ...(config.trustRemoteCode ? { trust_remote_code: true } : {}),
    ...(readsFile(worker) ? sizes(pool) : {}),
    kv_cache_config: {
      ...(blockSize === undefined ? {} : { tokens_per_block: blockSize }),
      ...(pool.gpuMemoryFraction === undefined ? {} : { free_gpu_memory_fraction: pool.gpuMemoryFraction }),
      ...hostCache(worker),
    },
    ...(disaggregated(worker)
      ? { cache_transceiver_config: { backend: connectorOf(TRANSFER, config.kvTransfer) } }
      : {}),
    ...(pool.role === "prefill" ? { disable_overlap_scheduler: true } : {}),
  };
}

/** Host memory for blocks that leave the GPU, in bytes of each rank. Decode workers keep no prefixes. */
function hostCache(worker: WorkerSpec): PlainObject {
  const { hostMemoryGB } = worker.config.kvOffload;
  if (hostMemoryGB === undefined || !keepsPrefixes(worker)) return {};
  return { host_cache_size: Math.round(hostMemoryGB * BYTES_PER_GB) };
}

/**
 * With a file of the engine's configuration on the node (`--extra-engine-args`), its sizes must be
 * overridden.
 */
const readsFile = (worker: WorkerSpec): boolean =>
  extraArgs(worker).some(
    (argument) => reservedFlag({ "--extra-engine-args": undefined }, argument) !== undefined,
  );

function sizes(pool: PoolConfig): PlainObject {
  return {
    tensor_parallel_size: pool.tensorParallel * pool.dataParallel,
    pipeline_parallel_size: pool.pipelineParallel,
    enable_attention_dp: pool.dataParallel > 1,
    ...(pool.expertParallel === undefined ? {} : { moe_expert_parallel_size: pool.expertParallel }),
  };
}

/**
 * As single keys if the user sets none; otherwise merged with the user's as a whole, which may hold lists and
 * groups. Dynamo accepts one of the two.
 */
function engineConfigFlags(worker: WorkerSpec): string[] {
  const asked = merged(worker.config.engineConfig, worker.pool.engineConfig);
  if (Object.keys(asked).length > 0)
    return ["--override-engine-args", JSON.stringify(merged(planned(worker), asked))];
  return leaves(planned(worker)).flatMap(([key, value]) => [`${KEY_FLAG}${key}`, String(value)]);
}

/** `[["a.b", 1]]` of `{ a: { b: 1 } }`. */
function leaves(config: PlainObject, prefix = ""): [string, Json][] {
  return Object.entries(config).flatMap(([key, value]): [string, Json][] =>
    isGroup(value) ? leaves(value, `${prefix}${key}.`) : [[prefix + key, value]],
  );
}

/** NIXL's backend: https://nvidia.github.io/TensorRT-LLM/features/disagg-serving.html */
function transferEnv(worker: WorkerSpec): Record<string, string> {
  const { kvTransfer } = worker.config;
  if (kvTransfer.backend === undefined || !disaggregated(worker)) return {};
  return { TRTLLM_NIXL_KVCACHE_BACKEND: kvTransfer.backend };
}

/**
 * Encode workers, and how workers that process prompts find them: `_default_endpoint` in
 * dynamo/trtllm/args.py of 1.6.1.
 */
function pictureFlags(worker: WorkerSpec): string[] {
  if (!hasEncoders(worker)) return [];
  const asks = keepsPrefixes(worker) ? ["--encode-endpoint", `dyn://${NAMESPACE}.encode.generate`] : [];
  return ["--modality", "multimodal", ...asks];
}
