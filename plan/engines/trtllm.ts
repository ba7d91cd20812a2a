/**
 * TensorRT-LLM under `python -m dynamo.trtllm`.
 *
 * Flags: https://github.com/ai-dynamo/dynamo/blob/v1.4.2/components/src/dynamo/trtllm/backend_args.py. What has no flag of its own
 * goes to the engine as `--trtllm.<group>.<key>`, which excludes `--override-engine-args`.
 *
 * A replica over several nodes has to be started by MPI (`mpirun` or `srun`, one task for each GPU, all at once, see
 * https://github.com/ai-dynamo/dynamo/blob/v1.4.2/docs/backends/trtllm/multinode/trtllm-multinode-examples.md). Programs here are started
 * by each node's own supervisor, so such a replica is refused: `docs/decisions/0007-no-tensorrt-llm-over-several-nodes.md`.
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
  type WorkerSpec,
} from "./engine";
import { kvbmEnv, kvbmPorts, usesKvbm } from "./kvbm";

const MODES = { aggregated: "agg", prefill: "prefill", decode: "decode" } as const;

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
  usesGpus: true,
  shapeProblems(replica) {
    const { pool, nodes } = replica;
    const problems = [];
    if (nodes > 1) {
      problems.push({
        key: "tensorParallel" as const,
        message:
          `A replica would span ${nodes} nodes, which engine trtllm can only do when MPI starts it on all of them at once; ` +
          "that is not supported. Make it fit one node, or use engine sglang or vllm.",
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
  kind: () => "worker",
  ports: (spec) => (usesKvbm(spec) ? kvbmPorts() : []),
  start(worker) {
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
      env: { ...(usesKvbm(worker) ? kvbmEnv(worker) : {}), ...extraEnv(worker) },
    };
  },
};

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
  const blockSize = String(config.router.blockSize);
  return [
    ...["--kv-block-size", blockSize],
    ...["--trtllm.kv_cache_config.tokens_per_block", blockSize],
    ...option("--trtllm.kv_cache_config.free_gpu_memory_fraction", pool.gpuMemoryFraction),
    ...flag("--publish-kv-events", publishesKvEvents(worker)),
    ...(usesKvbm(worker)
      ? ["--connector", "kvbm", "--trtllm.kv_cache_config.enable_partial_reuse", "false"]
      : []),
  ];
}

/** NIXL is TensorRT-LLM's default transport. Its overlap scheduler does not work in a prefill worker. */
function transferFlags({ pool }: WorkerSpec): string[] {
  if (pool.role === "aggregated") return [];
  return [
    ...["--trtllm.cache_transceiver_config.backend", "DEFAULT"],
    ...(pool.role === "prefill" ? ["--trtllm.disable_overlap_scheduler", "true"] : []),
  ];
}
