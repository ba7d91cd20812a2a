/**
 * vLLM 0.31 under `python -m dynamo.vllm`.
 *
 * Flags: https://github.com/vllm-project/vllm/blob/v0.31.0/vllm/engine/arg_utils.py, and for Dynamo's side
 * https://github.com/ai-dynamo/dynamo/blob/v1.6.1/components/src/dynamo/vllm/args.py
 *
 * A replica over several nodes has one of two forms:
 *
 * - One attention group (tensorParallel × pipelineParallel over the nodes): rank 0 has Dynamo's worker, the
 *   other nodes only vLLM's processes (`--headless`).
 * - Several groups, each within a node: every node has a Dynamo worker for its own groups
 *   (`--data-parallel-hybrid-lb`), and the router chooses among all groups. Only for models with experts;
 *   vLLM rejects others.
 */

import { flagTable } from "../../config/flags";
import { modelPath } from "../../config/model";
import { onePort } from "../../config/ports";
import { WORKER_FLAGS } from "../../config/reserved";
import { tasks } from "../../config/task";
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
  kvEventsConfig,
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
import flags from "./flags.json";
import { SERIES } from "./series";
import { kvTransferFlags, sideChannelEnv, VLLM_TRANSFER } from "./transfer";

const usesDp = ({ pool }: ReplicaSpec): boolean => pool.dataParallel > 1;
const isHeadless = (spec: RankSpec): boolean => spec.rank > 0 && !usesDp(spec);

/** Indices of the attention groups on this node. */
function localGroups({ pool, nodes, rank }: RankSpec): number[] {
  const perNode = pool.dataParallel / nodes;
  return Array.from({ length: perNode }, (_, index) => rank * perNode + index);
}

/** Including the aliases of vLLM's parser. */
const RESERVED = {
  ...WORKER_FLAGS,
  "--revision": "modelRevision",
  "--model": "model",
  "--served-model-name": "servedModelName",
  "--endpoint-types": "task",
  "--dyn-endpoint-types": "task",
  "--embedding-worker": "task",
  "--classify-worker": "task",
  "--runner": "task",
  // Gone from vLLM, and in many examples.
  "--task": "task",
  "--tensor-parallel-size": "pools[].tensorParallel",
  "-tp": "pools[].tensorParallel",
  "--pipeline-parallel-size": "pools[].pipelineParallel",
  "-pp": "pools[].pipelineParallel",
  "--data-parallel-size": "pools[].dataParallel",
  "-dp": "pools[].dataParallel",
  "--data-parallel-rank": undefined,
  "-dpn": undefined,
  "--data-parallel-start-rank": undefined,
  "-dpr": undefined,
  "--data-parallel-size-local": undefined,
  "-dpl": undefined,
  "--data-parallel-address": undefined,
  "-dpa": undefined,
  "--data-parallel-rpc-port": "ports.distInit",
  "-dpp": "ports.distInit",
  "--data-parallel-hybrid-lb": undefined,
  "-dph": undefined,
  "--enable-expert-parallel": "pools[].expertParallel",
  "-ep": "pools[].expertParallel",
  "--nnodes": undefined,
  "-n": undefined,
  "--node-rank": undefined,
  "-r": undefined,
  "--master-addr": undefined,
  "--master-port": "ports.distInit",
  "--headless": undefined,
  "--block-size": "router.blockSize",
  "--kv-events-config": "router.kvEvents",
  "--kv-transfer-config": "kvTransfer",
  "--connector": "kvTransfer",
  // It would take the place of the connector that the plan names.
  "--kv-offloading-size": "kvOffload.hostMemoryGB",
  "--kv-offloading-backend": "kvOffload.hostMemoryGB",
  "--prefill-context-parallel-size": undefined,
  "-pcp": undefined,
  "--data-parallel-external-lb": undefined,
  "-dpe": undefined,
  // A file that may set any of these, unknown when the plan is made.
  "--config": "engineArgs",
  "--disaggregation-mode": "pools[].role",
  "--route-to-encoder": "pools[].role",
} as const satisfies ReservedFlags;

/**
 * Expert parallelism is a switch in vLLM:
 * https://docs.vllm.ai/en/latest/serving/expert_parallel_deployment.html
 */
const RULES: Rules = {
  pool(pool) {
    const { expertParallel } = pool;
    if (expertParallel === undefined || expertParallel === 1 || expertParallel === world(pool)) return [];
    return [
      {
        key: "expertParallel",
        message: `${expertParallel} is not possible with engine vllm, which spreads experts over all GPUs or none (--enable-expert-parallel). Allowed: 1, ${world(pool)}.`,
      },
    ];
  },
  whole: ({ router }) => blockSizeProblem(router?.blockSize, "vllm", "a multiple of 16", (n) => n % 16 === 0),
};

export const vllm: Engine = {
  release: {
    pypi: "0.31.0",
    image: "0.31.0",
    imageName: "vllm-runtime",
    environmentGB: { disk: 8.6, download: 5 },
  },
  rules: RULES,
  table: flagTable(flags),
  // `FlexibleArgumentParser`; `-O3` is a level of optimisation.
  notation: { keysOfJson: true, other: (name) => (/^-O./.test(name) ? "none" : undefined) },
  // `FileSystemTierManager` in vllm/v1/kv_offload/tiering/fs/manager.py.
  disk: { refused: "whose files of KV blocks nothing bounds" },
  reservedVariables: {
    VLLM_NIXL_SIDE_CHANNEL_HOST: undefined,
    VLLM_NIXL_SIDE_CHANNEL_PORT: "ports.sideChannel",
    VLLM_MOONCAKE_BOOTSTRAP_PORT: "ports.sideChannel",
    VLLM_HOST_IP: undefined,
    VLLM_PORT: undefined,
    VLLM_LOOPBACK_IP: undefined,
    VLLM_DP_RANK: undefined,
    VLLM_DP_RANK_LOCAL: undefined,
    VLLM_DP_SIZE: "pools[].dataParallel",
    VLLM_DP_MASTER_IP: undefined,
    VLLM_DP_MASTER_PORT: "ports.distInit",
  },
  series: SERIES,
  reservedFlags: RESERVED,
  settingFlags: {
    "--max-model-len": "contextLength",
    "--gpu-memory-utilization": "pools[].gpuMemoryFraction",
    // With it vLLM ignores the fraction.
    "--kv-cache-memory-bytes": "pools[].gpuMemoryFraction",
    "--trust-remote-code": "trustRemoteCode",
    // Dynamo's own tells the planner, and gives way to another one.
    "--scheduler-cls": "pools[].maxReplicas",
  },
  settingVariables: { [FORWARD_PASS_VARIABLE]: "pools[].maxReplicas" },
  acrossNodes: {
    "--distributed-executor-backend": ["mp"],
    "--data-parallel-backend": ["mp"],
  },
  taskFlags: {
    chat: [],
    completions: ["--endpoint-types", "completions"],
    embedding: ["--embedding-worker", "--runner", "pooling"],
    classify: ["--classify-worker", "--runner", "pooling"],
  },
  transfer: VLLM_TRANSFER,
  alwaysSet: {
    "--kv-transfer-config":
      "Dynamo refuses a prefill worker without one, and decode workers have to match it",
    VLLM_HOST_IP: "the address that others are told has to be the one that is listened on",
    PYTHONHASHSEED:
      "every process must hash a prompt's blocks alike, or the router compares what cannot match",
  },
  usesGpus: true,
  shapeProblems(replica) {
    const { config, pool, nodes } = replica;
    const problems = [];
    // Its other nodes would be `--headless`, which excludes a worker without generation.
    if (nodes > 1 && !usesDp(replica) && !tasks[config.task].generates) {
      problems.push({
        key: "tensorParallel" as const,
        message:
          `a replica over ${nodes} nodes is not possible with engine vllm and task ${config.task}. Make it fit one node ` +
          "(tensorParallel × pipelineParallel).",
      });
    }
    if (nodes > 1 && usesDp(replica) && pool.dataParallel % nodes !== 0) {
      problems.push({
        key: "dataParallel" as const,
        message:
          `${pool.dataParallel} attention groups of ${pool.tensorParallel * pool.pipelineParallel} GPUs would lie across the ` +
          `${nodes} nodes of a replica, which engine vllm cannot do. Allowed: 1, or a multiple of ${nodes}.`,
      });
    }
    return problems;
  },
  otherModels: ({ args }) => otherModel(speculation(args, "model"), speculation(args, "revision")),
  kind: (spec) => (isHeadless(spec) ? "bare" : "worker"),
  ports(spec) {
    if (isHeadless(spec)) return [];
    const groups = localGroups(spec);
    return [
      ...(spec.nodes > 1 && spec.rank === 0 ? [onePort("distInit")] : []),
      ...(disaggregated(spec) ? [{ range: "sideChannel" as const, offsets: groups }] : []),
      ...(publishesKvEvents(spec) ? [{ range: "kvEvents" as const, offsets: groups }] : []),
      ...(tellsPlanner(spec) ? [{ range: "forwardPass" as const, offsets: groups }] : []),
    ];
  },
  start(worker) {
    return {
      command: [
        ...["python3", "-m", "dynamo.vllm"],
        ...modelFlags(worker),
        ...parallelFlags(worker),
        ...cacheFlags(worker),
        ...disaggregationFlags(worker),
        ...extraArgs(worker),
      ],
      env: {
        VLLM_HOST_IP: worker.address,
        PYTHONHASHSEED: "0",
        ...(isHeadless(worker) ? {} : { ...sideChannelEnv(worker), ...plannerEnv(worker) }),
        ...extraEnv(worker),
      },
    };
  },
  /**
   * A headless process does not listen; it has joined when the leader's rendezvous port answers, and ends
   * with it.
   */
  bareHealth: ({ leader, leaderPorts }) => ({ kind: "tcp", host: leader, port: leaderPorts.distInit ?? 0 }),
};

/** `--speculative-config` as JSON, or key by key: https://docs.vllm.ai/en/latest/features/spec_decode.html */
function speculation(args: readonly string[], key: string): unknown {
  const inJson = valuesOf(args, ["--speculative-config", "-sc"]).map((text) => objectIn(text)?.[key]);
  const byKey = valuesOf(args, [`--speculative-config.${key}`, `-sc.${key}`]);
  return [...inJson, ...byKey].findLast((value) => value !== undefined);
}

function modelFlags(worker: WorkerSpec): string[] {
  const { config } = worker;
  return [
    ...["--model", modelPath(config)],
    ...option("--revision", config.modelRevision),
    ...["--served-model-name", config.servedModelName],
    ...(vllm.taskFlags[config.task] ?? []),
    ...(isHeadless(worker) ? [] : parserFlags(worker)),
    ...flag("--trust-remote-code", config.trustRemoteCode),
    ...option("--max-model-len", config.contextLength),
  ];
}

function parallelFlags(worker: WorkerSpec): string[] {
  const { pool } = worker;
  return [
    ...["--tensor-parallel-size", String(pool.tensorParallel)],
    ...(pool.pipelineParallel > 1 ? ["--pipeline-parallel-size", String(pool.pipelineParallel)] : []),
    ...(usesDp(worker) ? ["--data-parallel-size", String(pool.dataParallel)] : []),
    ...(worker.nodes > 1 ? acrossNodes(worker) : []),
    // A switch: over all GPUs of the replica or none (the configuration allows nothing in between).
    ...flag("--enable-expert-parallel", pool.expertParallel !== undefined && pool.expertParallel > 1),
  ];
}

function acrossNodes(worker: WorkerSpec): string[] {
  const { nodes, rank, leader, leaderPorts } = worker;
  const groups = localGroups(worker);
  if (usesDp(worker)) {
    return [
      ...["--data-parallel-hybrid-lb", "--data-parallel-size-local", String(groups.length)],
      ...["--data-parallel-start-rank", String(groups[0])],
      ...["--data-parallel-address", leader, "--data-parallel-rpc-port", String(leaderPorts.distInit)],
    ];
  }
  return [
    ...["--nnodes", String(nodes), "--node-rank", String(rank)],
    ...["--master-addr", leader, "--master-port", String(leaderPorts.distInit)],
    ...flag("--headless", isHeadless(worker)),
  ];
}

function plannerEnv({ ports }: WorkerSpec): Record<string, string> {
  return ports.forwardPass === undefined ? {} : { [FORWARD_PASS_VARIABLE]: String(ports.forwardPass) };
}

function cacheFlags(worker: WorkerSpec): string[] {
  const { config, pool, ports } = worker;
  const publishes = publishesKvEvents(worker) && !isHeadless(worker);
  return [
    ...(pool.role === "encode" ? [] : option("--block-size", config.router.blockSize)),
    ...option("--gpu-memory-utilization", pool.gpuMemoryFraction),
    ...(publishes
      ? ["--kv-events-config", kvEventsConfig(ports.kvEvents, { enable_kv_cache_events: true })]
      : []),
  ];
}

function disaggregationFlags(worker: WorkerSpec): string[] {
  const { pool } = worker;
  return [
    ...(pool.role === "aggregated" ? [] : ["--disaggregation-mode", pool.role]),
    ...kvTransferFlags(worker),
    ...pictureFlags(worker),
  ];
}

/**
 * Encode workers, the workers that call them, and the workers that receive their embeddings:
 * https://github.com/ai-dynamo/dynamo/blob/v1.6.1/examples/backends/vllm/launch/disagg_multimodal_epd.sh
 */
function pictureFlags(worker: WorkerSpec): string[] {
  if (!hasEncoders(worker)) return [];
  if (worker.pool.role === "encode") return ["--enable-multimodal"];
  return ["--enable-multimodal", "--enable-mm-embeds", ...flag("--route-to-encoder", keepsPrefixes(worker))];
}
