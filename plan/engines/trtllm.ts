/**
 * TensorRT-LLM under `python -m dynamo.trtllm`.
 *
 * Flags: https://github.com/ai-dynamo/dynamo/blob/v1.4.2/components/src/dynamo/trtllm/backend_args.py. What has no flag of its own
 * goes to the engine as `--trtllm.<group>.<key>`, which excludes `--override-engine-args`.
 *
 * A replica over several nodes is one MPI world with a rank for each GPU, all started at once by `mpirun` on the first node (`mpi.ts`):
 * https://github.com/ai-dynamo/dynamo/blob/v1.4.2/docs/backends/trtllm/multinode/trtllm-multinode-examples.md. Every rank runs
 * https://github.com/NVIDIA/TensorRT-LLM/blob/main/tensorrt_llm/llmapi/trtllm-llmapi-launch, which is Dynamo's worker on rank 0, and on
 * the others waits for work.
 */
import { modelPath } from "../model";
import {
  type Engine,
  extraArgs,
  extraEnv,
  flag,
  option,
  publishesKvEvents,
  type ReplicaSpec,
  type SettledFlags,
  type WorkerCommand,
  type WorkerSpec,
} from "./engine";
import { KVBM_ENGINE_OFFSET, kvbmEnv, kvbmPorts, usesKvbm } from "./kvbm";
import { mpiDaemon, mpiPorts, mpirun } from "./mpi";

const MODES = { aggregated: "agg", prefill: "prefill", decode: "decode" } as const;

/** What every rank of a replica over several nodes runs, with the worker's command after it. */
const LAUNCHER = "trtllm-llmapi-launch";

const usesDp = ({ pool }: ReplicaSpec): boolean => pool.dataParallel > 1;

const SETTLED = {
  "--model": "model",
  "--model-path": "model",
  "--served-model-name": "servedModelName",
  "--tensor-parallel-size": "pools[].tensorParallel",
  "--pipeline-parallel-size": "pools[].pipelineParallel",
  "--expert-parallel-size": "pools[].expertParallel",
  "--enable-attention-dp": "pools[].dataParallel",
  "--kv-block-size": "router.blockSize",
  "--trtllm.kv_cache_config.tokens_per_block": "router.blockSize",
  "--publish-kv-events": "router.kvEvents",
  "--disaggregation-mode": "pools[].role",
  "--connector": "kvOffload",
  // It excludes the `--trtllm.*` flags of the plan, which take what it would hold key by key.
  "--override-engine-args": "--trtllm.<group>.<key> in engineArgs",
} as const satisfies SettledFlags;

export const trtllm: Engine = {
  settledFlags: SETTLED,
  unasked: {
    "--trtllm.cache_transceiver_config.backend": "without one TensorRT-LLM moves no KV blocks at all",
    "--trtllm.disable_overlap_scheduler": "its overlap scheduler does not work in a prefill worker",
  },
  usesGpus: true,
  shapeProblems(replica) {
    const { pool, nodes } = replica;
    const problems = [];
    if (nodes > 1 && usesKvbm(replica)) {
      problems.push({
        key: "tensorParallel" as const,
        message:
          `kvOffload works with engine trtllm only where a replica fits one node (KVBM), and this one is on ${nodes}. ` +
          "Remove kvOffload, or make the replica smaller.",
      });
    }
    if (usesKvbm(replica) && usesDp(replica)) {
      problems.push({
        key: "dataParallel" as const,
        message: `kvOffload does not work with ${pool.dataParallel} attention groups (KVBM knows one). Remove one of the two.`,
      });
    }
    return problems;
  },
  kind: ({ rank }) => (rank === 0 ? "worker" : "bare"),
  ports: (spec) => [...(usesKvbm(spec) ? kvbmPorts(true) : []), ...(spec.nodes > 1 ? mpiPorts(spec) : [])],
  start(worker) {
    if (worker.rank > 0) return mpiDaemon(worker, extraEnv(worker));
    const served = serve(worker);
    return worker.nodes > 1 ? mpirun(worker, LAUNCHER, served) : served;
  },
  /** The daemon's ranks answer nobody; that they work shows in rank 0's worker. */
  bareHealth: ({ leader, leaderPorts }) => ({
    kind: "http",
    url: `http://${leader}:${leaderPorts.system}/health`,
  }),
};

/** The worker that serves. */
function serve(worker: WorkerSpec): WorkerCommand {
  return {
    command: [
      ...["python3", "-m", "dynamo.trtllm"],
      ...modelFlags(worker),
      ...parallelFlags(worker),
      ...["--disaggregation-mode", MODES[worker.pool.role]],
      ...cacheFlags(worker),
      ...transferFlags(worker),
      ...extraArgs(worker),
    ],
    env: { ...(usesKvbm(worker) ? offloadEnv(worker) : {}), ...extraEnv(worker) },
  };
}

/**
 * The engine publishes KV events to KVBM at a port that is by default the one at which KVBM's leader listens
 * (`kvbm/trtllm_integration/consolidator_config.py` of 1.4.2), so it gets one of its own.
 */
function offloadEnv(worker: WorkerSpec): Record<string, string> {
  const port = (worker.ports.kvbm ?? 0) + KVBM_ENGINE_OFFSET;
  return { ...kvbmEnv(worker), DYN_KVBM_TRTLLM_ZMQ_PORT: String(port) };
}

function modelFlags({ config }: WorkerSpec): string[] {
  return [
    ...["--model", modelPath(config)],
    // Dynamo looks for the model's files with the one, the engine with the other.
    ...option("--revision", config.modelRevision),
    ...option("--trtllm.revision", config.modelRevision),
    ...["--served-model-name", config.servedModelName],
    ...(config.trustRemoteCode ? ["--trtllm.trust_remote_code", "true"] : []),
    ...option("--max-seq-len", config.contextLength),
  ];
}

/** With attention data parallelism every GPU is a group of its own, and `--tensor-parallel-size` is their number. */
function parallelFlags(worker: WorkerSpec): string[] {
  const { pool } = worker;
  return [
    ...["--tensor-parallel-size", String(pool.tensorParallel * pool.dataParallel)],
    ...flag("--enable-attention-dp", usesDp(worker)),
    ...(pool.pipelineParallel > 1 ? ["--pipeline-parallel-size", String(pool.pipelineParallel)] : []),
    ...option("--expert-parallel-size", pool.expertParallel),
  ];
}

/**
 * The group `kv_cache_config` replaces what Dynamo's own flags would put there, so all of it is said in the group. The
 * fraction is of the memory that is free once the weights are loaded, unlike with the other engines.
 */
function cacheFlags(worker: WorkerSpec): string[] {
  const { config, pool } = worker;
  const { blockSize } = config.router;
  return [
    // Dynamo registers what the engine says; its own number is for an engine that says nothing.
    ...option("--kv-block-size", blockSize),
    ...option("--trtllm.kv_cache_config.tokens_per_block", blockSize),
    ...option("--trtllm.kv_cache_config.free_gpu_memory_fraction", pool.gpuMemoryFraction),
    ...flag("--publish-kv-events", publishesKvEvents(worker)),
    ...(usesKvbm(worker)
      ? ["--connector", "kvbm", "--trtllm.kv_cache_config.enable_partial_reuse", "false"]
      : []),
  ];
}

/** NIXL is TensorRT-LLM's default transport. */
function transferFlags({ pool }: WorkerSpec): string[] {
  if (pool.role === "aggregated") return [];
  return [
    ...["--trtllm.cache_transceiver_config.backend", "DEFAULT"],
    ...(pool.role === "prefill" ? ["--trtllm.disable_overlap_scheduler", "true"] : []),
  ];
}
