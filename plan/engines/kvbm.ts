/**
 * KVBM, Dynamo's block manager, which offloads KV blocks of vLLM and TensorRT-LLM to host memory and disk.
 * https://docs.nvidia.com/dynamo/components/kvbm/kvbm-guide
 */
import { NODE_DIR } from "../../lib/placeholders";
import { gpusPerReplica } from "../config";
import type { PortNeed } from "../ports";
import { keepsPrefixes, type ReplicaSpec, type WorkerSpec } from "./engine";

/** Offset of the KV event consolidator's port from the leader's (`consolidator_config.py`). */
const CONSOLIDATOR_OFFSET = 1000;

/**
 * Whether a worker's blocks are offloaded: those that cache prefixes; with disaggregation the prefill
 * workers.
 */
export function usesKvbm(replica: ReplicaSpec): boolean {
  return replica.config.kvOffload.hostMemoryGB !== undefined && keepsPrefixes(replica);
}

/** Offset of the first port after the leader's. */
export const KVBM_ENGINE_OFFSET = 2;

/**
 * Leader's publications, its acknowledgements, and the consolidator; plus the port at which an engine
 * publishes to the consolidator, if KVBM chooses it.
 */
export function kvbmPorts(hasEnginePort = false): PortNeed[] {
  return [
    { range: "kvbm", offsets: [0, 1, ...(hasEnginePort ? [KVBM_ENGINE_OFFSET] : []), CONSOLIDATOR_OFFSET] },
  ];
}

/**
 * KVBM's sizes are per replica (the leader divides by the blocks of all its workers), the configuration's per
 * GPU.
 */
export function kvbmEnv(worker: WorkerSpec): Record<string, string> {
  const { config, pool, ports, name } = worker;
  const { hostMemoryGB = 0, diskGB, diskPath } = config.kvOffload;
  const gpus = gpusPerReplica(pool);
  const port = ports.kvbm ?? 0;
  return {
    DYN_KVBM_CPU_CACHE_GB: String(hostMemoryGB * gpus),
    DYN_KVBM_LEADER_ZMQ_PUB_PORT: String(port),
    DYN_KVBM_LEADER_ZMQ_ACK_PORT: String(port + 1),
    ...(diskGB === undefined
      ? {}
      : {
          DYN_KVBM_DISK_CACHE_GB: String(diskGB * gpus),
          DYN_KVBM_DISK_CACHE_DIR: `${diskPath ?? `${NODE_DIR}/kv`}/${name}`,
        }),
  };
}
