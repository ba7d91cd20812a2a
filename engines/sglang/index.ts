/**
 * SGLang 0.5.21 under `python -m dynamo.sglang`.
 *
 * Flags: https://github.com/sgl-project/sglang/blob/v0.5.21/python/sglang/srt/server_args.py, and for
 * Dynamo's side https://github.com/ai-dynamo/dynamo/blob/v1.6.1/components/src/dynamo/sglang/args.py
 */

import { flagTable } from "../../config/flags";
import { hasExporters } from "../../config/metrics";
import { defaultServedName, modelPath } from "../../config/model";
import { neighbours, onePort } from "../../config/ports";
import { WORKER_FLAGS } from "../../config/reserved";
import { show } from "../../config/values";
import { NODE_DIR } from "../../lib/placeholders";
import { BYTES_PER_GB } from "../../lib/units";
import {
  disaggregated,
  type Engine,
  extraArgs,
  extraEnv,
  FORWARD_PASS_VARIABLE,
  flag,
  hasEncoders,
  keepsPrefixes,
  kvEventsConfig,
  listOf,
  type OtherModel,
  objectIn,
  option,
  otherModel,
  parserFlags,
  publishesKvEvents,
  type RankSpec,
  type ReplicaSpec,
  type ReservedFlags,
  type Rules,
  tellsPlanner,
  valuesOf,
  type WorkerSpec,
  world,
} from "../engine";
import { connectorOf, type TransferRules } from "../transfer";
import flags from "./flags.json";
import { SERIES } from "./series";

/**
 * Consecutive ports used by attention data parallelism from `--dist-init-addr` on: that one, five for its
 * processes, one for loads (`PortArgs.init_new`).
 */
const DIST_PORTS_WITH_DP = 7;

const usesDp = ({ pool }: ReplicaSpec): boolean => pool.dataParallel > 1;
/** Without it SGLang derives ports from `--port`, and those of two replicas on a node would overlap. */
const meets = (replica: ReplicaSpec): boolean => replica.nodes > 1 || usesDp(replica);

/**
 * Indices of the attention groups that publish from this node: its share of them, or all of a single one on
 * rank 0.
 */
function publishers(spec: RankSpec): number[] {
  const { pool, nodes, rank } = spec;
  if (!publishesKvEvents(spec)) return [];
  if (!usesDp(spec)) return rank === 0 ? [0] : [];
  const perNode = pool.dataParallel / nodes;
  return Array.from({ length: perNode }, (_, index) => rank * perNode + index);
}

/** Including the aliases of SGLang's parser. */
const RESERVED = {
  ...WORKER_FLAGS,
  "--revision": "modelRevision",
  "--model-path": "model",
  "--model": "model",
  "--served-model-name": "servedModelName",
  "--endpoint-types": "task",
  "--dyn-endpoint-types": "task",
  "--embedding-worker": "task",
  "--is-embedding": "task",
  "--tp-size": "pools[].tensorParallel",
  "--tp": "pools[].tensorParallel",
  "--tensor-parallel-size": "pools[].tensorParallel",
  "--dp-size": "pools[].dataParallel",
  "--dp": "pools[].dataParallel",
  "--data-parallel-size": "pools[].dataParallel",
  "--enable-dp-attention": "pools[].dataParallel",
  "--pp-size": "pools[].pipelineParallel",
  "--pp": "pools[].pipelineParallel",
  "--pipeline-parallel-size": "pools[].pipelineParallel",
  "--ep-size": "pools[].expertParallel",
  "--ep": "pools[].expertParallel",
  "--expert-parallel-size": "pools[].expertParallel",
  "--nnodes": undefined,
  "--node-rank": undefined,
  "--dist-init-addr": "ports.distInit",
  "--nccl-init-addr": "ports.distInit",
  "--host": undefined,
  "--port": "ports.engine",
  "--page-size": "router.blockSize",
  "--kv-events-config": "router.kvEvents",
  "--disaggregation-mode": "pools[].role",
  "--dedicated-mm-encoder": "pools[].role",
  "--disaggregation-bootstrap-port": "ports.bootstrap",
  "--disaggregation-transfer-backend": "kvTransfer.connector",
  "--connector": "kvTransfer",
  "--base-gpu-id": undefined,
  "--gpu-id-step": undefined,
  // A file that may set any of these, unknown when the plan is made.
  "--config": "engineArgs",
  "--disagg-config": "engineArgs",
  "--disagg-config-key": "engineArgs",
} as const satisfies ReservedFlags;

const TRANSFER: TransferRules = {
  connectors: { nixl: "transfer", mooncake: "transfer", mori: "transfer", ascend: "transfer" },
  usual: "nixl",
  byNixl: ["nixl"],
  takesExtra: ["nixl"],
};

/**
 * https://github.com/sgl-project/sglang/blob/v0.5.21/python/sglang/srt/server_args.py (`check_server_args`)
 */
const RULES: Rules = {
  pool(pool) {
    const { expertParallel } = pool;
    if (expertParallel === undefined || world(pool) % expertParallel === 0) return [];
    return [
      {
        key: "expertParallel",
        message: `${expertParallel} does not divide the ${world(pool)} GPUs of tensorParallel × dataParallel, as engine sglang demands (--ep-size). Use a divisor of ${world(pool)}.`,
      },
    ];
  },
  whole({ model, servedModelName }) {
    const name = servedModelName ?? (model === undefined ? "" : defaultServedName(model));
    if (!name.includes(":")) return [];
    const message = `${show(name)} has a colon, which engine sglang keeps for LoRA adapters (model:adapter). Set a name without one.`;
    return [{ path: ["servedModelName"], message }];
  },
};

export const sglang: Engine = {
  release: {
    pypi: "0.5.21",
    image: "0.5.21",
    imageName: "sglang-runtime",
    environmentGB: { disk: 9.7, download: 5 },
  },
  rules: RULES,
  table: flagTable(flags),
  // HiCache's file backend writes one file per page: `HiCacheFile` in
  // sglang/srt/mem_cache/hicache_storage.py.
  disk: {
    needsBlockSize: "SGLang writes a file for each block, and its own choice is one token for most models",
  },
  ownToolParser: "--tool-call-parser",
  reservedVariables: {
    SGLANG_HOST_IP: undefined,
    // Its second name.
    HOST_IP: undefined,
    SGLANG_PORT: "ports.engine",
    SGLANG_TCP_STORE_PORT: undefined,
  },
  elsewhere: {
    // https://github.com/ai-dynamo/dynamo/blob/v1.6.1/lib/bindings/python/src/dynamo/runtime/logging.py
    DYN_SKIP_SGLANG_LOG_FORMATTING: {
      value: "1",
      why: "without SGLang its logging configuration is not needed, of which every start would leave a file in /tmp",
    },
  },
  series: SERIES,
  reservedFlags: RESERVED,
  settingFlags: {
    "--context-length": "contextLength",
    "--mem-fraction-static": "pools[].gpuMemoryFraction",
    "--trust-remote-code": "trustRemoteCode",
    "--enable-hierarchical-cache": "kvOffload.hostMemoryGB",
    "--hicache-size": "kvOffload.hostMemoryGB",
    // SGLang takes one of the two.
    "--hicache-ratio": "kvOffload.hostMemoryGB",
    "--hicache-storage-backend": "kvOffload.diskGB",
    "--enable-forward-pass-metrics": "pools[].maxReplicas",
  },
  settingVariables: {
    [FORWARD_PASS_VARIABLE]: "pools[].maxReplicas",
    SGLANG_HICACHE_FILE_BACKEND_STORAGE_DIR: "kvOffload.diskGB",
    SGLANG_HICACHE_FILE_BACKEND_MAX_SIZE: "kvOffload.diskGB",
    SGLANG_DISAGGREGATION_NIXL_BACKEND: "kvTransfer.backend",
    SGLANG_DISAGGREGATION_NIXL_BACKEND_PARAMS: "kvTransfer.extra",
  },
  acrossNodes: { "--use-ray": [] },
  taskFlags: {
    chat: [],
    completions: ["--endpoint-types", "completions"],
    embedding: ["--embedding-worker"],
  },
  transfer: TRANSFER,
  alwaysSet: {
    "--disaggregation-transfer-backend":
      "SGLang's own default is Mooncake; Dynamo's images and its other engines have NIXL",
    SGLANG_HOST_IP: "the address that others are told has to be the one that is listened on",
  },
  usesGpus: true,
  shapeProblems({ pool, nodes }) {
    if (pool.dataParallel === 1 || nodes === 1 || pool.dataParallel % nodes === 0) return [];
    return [
      {
        key: "dataParallel",
        message:
          `${pool.dataParallel} attention groups cannot be spread evenly over the ${nodes} nodes of a replica, as engine ` +
          `sglang demands. Allowed: 1, or a multiple of ${nodes}.`,
      },
    ];
  },
  otherModels: ({ args }) => [
    ...otherModel(
      valuesOf(args, ["--speculative-draft-model-path", "--speculative-draft-model"]).at(-1),
      valuesOf(args, ["--speculative-draft-model-revision"]).at(-1),
    ),
    ...listOf(args, "--lora-paths").flatMap(adapterIn),
  ],
  kind: ({ rank }) => (rank === 0 ? "worker" : "helper"),
  ports(spec) {
    return [
      onePort("engine"),
      ...(meets(spec) && spec.rank === 0
        ? [neighbours("distInit", usesDp(spec) ? DIST_PORTS_WITH_DP : 1)]
        : []),
      ...(disaggregated(spec) && spec.rank === 0 ? [onePort("bootstrap")] : []),
      ...(publishers(spec).length > 0 ? [{ range: "kvEvents" as const, offsets: publishers(spec) }] : []),
    ];
  },
  start(worker) {
    return {
      command: [
        ...["python3", "-m", "dynamo.sglang"],
        ...modelFlags(worker),
        ...parallelFlags(worker),
        // The advertised address (SGLANG_HOST_IP) must be the one it listens on: with a loopback address here
        // and another one there every request ends without a token.
        ...["--host", worker.address],
        ...option("--port", worker.ports.engine),
        // Rank 0 answers clients.
        ...(worker.rank === 0 ? parserFlags(worker) : []),
        ...cacheFlags(worker),
        ...disaggregationFlags(worker),
        ...pictureFlags(worker),
        // Enables SGLang's own metrics; Dynamo exposes them with the worker's.
        ...flag("--enable-metrics", hasExporters(worker.config)),
        ...flag("--enable-forward-pass-metrics", tellsPlanner(worker)),
        ...extraArgs(worker),
      ],
      env: {
        SGLANG_HOST_IP: worker.address,
        ...diskEnv(worker),
        ...transferEnv(worker),
        ...extraEnv(worker),
      },
    };
  },
};

/** `NAME=PATH`, `PATH`, or JSON: https://docs.sglang.ai/advanced_features/lora.html */
function adapterIn(written: string): OtherModel[] {
  return otherModel(objectIn(written)?.["lora_path"] ?? written.replace(/^[^=]*=/, ""));
}

function modelFlags(worker: WorkerSpec): string[] {
  const { config } = worker;
  return [
    ...["--model-path", modelPath(config)],
    ...option("--revision", config.modelRevision),
    ...["--served-model-name", config.servedModelName],
    ...(sglang.taskFlags[config.task] ?? []),
    ...flag("--trust-remote-code", config.trustRemoteCode),
    ...option("--context-length", config.contextLength),
  ];
}

/**
 * With attention data parallelism `--tp-size` is the whole world, all groups together. TP 8 × DP 2 over two
 * nodes of eight is `--tp-size 16 --dp-size 2 --nnodes 2`.
 */
function parallelFlags(worker: WorkerSpec): string[] {
  const { pool, nodes, rank, leader, leaderPorts } = worker;
  return [
    ...["--tp-size", String(pool.tensorParallel * pool.dataParallel)],
    ...(usesDp(worker) ? ["--dp-size", String(pool.dataParallel), "--enable-dp-attention"] : []),
    ...(pool.pipelineParallel > 1 ? ["--pp-size", String(pool.pipelineParallel)] : []),
    ...option("--ep-size", pool.expertParallel),
    ...(nodes > 1 ? ["--nnodes", String(nodes), "--node-rank", String(rank)] : []),
    ...(meets(worker) ? ["--dist-init-addr", `${leader}:${leaderPorts.distInit}`] : []),
  ];
}

function cacheFlags(worker: WorkerSpec): string[] {
  const { config, pool } = worker;
  return [
    // If it differs from the router's block size, published blocks never match requested ones.
    ...(pool.role === "encode" ? [] : option("--page-size", config.router.blockSize)),
    ...option("--mem-fraction-static", pool.gpuMemoryFraction),
    ...(publishesKvEvents(worker) ? ["--kv-events-config", kvEventsConfig(kvEventsBase(worker))] : []),
    ...offloadFlags(worker),
  ];
}

/** All ranks need the same block of ports; a node without groups of its own needs the flag, but no port. */
function kvEventsBase(worker: WorkerSpec): number | undefined {
  return worker.ports.kvEvents ?? worker.leaderPorts.kvEvents;
}

/**
 * HiCache. `--hicache-size` is in whole GB per rank. A decode worker caches no prefixes (its radix cache is
 * off), so there is nothing to offload. https://docs.sglang.ai/advanced_features/hicache_best_practices.html
 */
function offloadFlags(worker: WorkerSpec): string[] {
  const { kvOffload } = worker.config;
  if (kvOffload.hostMemoryGB === undefined || !keepsPrefixes(worker)) return [];
  return [
    ...["--enable-hierarchical-cache", "--hicache-size", String(Math.ceil(kvOffload.hostMemoryGB))],
    ...(kvOffload.diskGB === undefined ? [] : ["--hicache-storage-backend", "file"]),
  ];
}

/** The file backend is configured by environment only (`sglang/srt/environ.py`), per rank. */
function diskEnv(worker: WorkerSpec): Record<string, string> {
  const { config, name } = worker;
  const { kvOffload } = config;
  if (kvOffload.diskGB === undefined || !keepsPrefixes(worker)) return {};
  return {
    SGLANG_HICACHE_FILE_BACKEND_STORAGE_DIR: `${kvOffload.diskPath ?? `${NODE_DIR}/kv`}/${name}`,
    SGLANG_HICACHE_FILE_BACKEND_MAX_SIZE: String(Math.round(kvOffload.diskGB * BYTES_PER_GB)),
  };
}

/**
 * NIXL's backend and its parameters, by environment only:
 * https://docs.sglang.ai/advanced_features/pd_disaggregation.html
 */
function transferEnv(worker: WorkerSpec): Record<string, string> {
  const { backend, extra } = worker.config.kvTransfer;
  if (!disaggregated(worker)) return {};
  return {
    ...(backend === undefined ? {} : { SGLANG_DISAGGREGATION_NIXL_BACKEND: backend }),
    ...(extra === undefined ? {} : { SGLANG_DISAGGREGATION_NIXL_BACKEND_PARAMS: JSON.stringify(extra) }),
  };
}

function disaggregationFlags(worker: WorkerSpec): string[] {
  const { config, pool, leaderPorts } = worker;
  if (!disaggregated(worker)) return [];
  return [
    ...["--disaggregation-mode", pool.role],
    ...["--disaggregation-transfer-backend", connectorOf(TRANSFER, config.kvTransfer)],
    // The bootstrap server is on rank 0; the other ranks connect to it.
    ...option("--disaggregation-bootstrap-port", leaderPorts.bootstrap),
  ];
}

/**
 * The frontend sends requests to encode workers; they encode the images and forward the request to the
 * others, which must be configured for that. An aggregated worker is `pd` there.
 * https://github.com/ai-dynamo/dynamo/blob/v1.6.1/components/src/dynamo/sglang/args.py
 * (`_normalize_multimodal_disaggregation_args`)
 */
function pictureFlags(worker: WorkerSpec): string[] {
  if (!hasEncoders(worker)) return [];
  const { role } = worker.pool;
  if (role === "encode") return ["--disaggregation-mode", "encode", "--enable-multimodal"];
  const mode = role === "aggregated" ? ["--disaggregation-mode", "pd"] : [];
  return [...mode, "--enable-multimodal", "--dedicated-mm-encoder"];
}
