/**
 * KVBM, Dynamo's block manager, which moves KV blocks of vLLM and TensorRT-LLM to host memory and disk.
 * https://docs.nvidia.com/dynamo/components/kvbm/kvbm-guide
 */
import { NODE_DIR } from "../../lib/placeholders";
import { gpusPerReplica } from "../config";
import type { PortNeed } from "../ports";
import { keepsPrefixes, type ReplicaSpec, type WorkerSpec } from "./engine";

/** The consolidator of KV events listens that far above the leader's port (`consolidator_config.py`). */
const CONSOLIDATOR_OFFSET = 1000;

/** True for workers whose blocks are offloaded: those that keep prefixes. Disaggregated, these are the prefill workers. */
export function usesKvbm(replica: ReplicaSpec): boolean {
  return replica.config.kvOffload.hostMemoryGB !== undefined && keepsPrefixes(replica);
}

/** The first port after those of the leader. */
export const KVBM_ENGINE_OFFSET = 2;

/**
 * Leader's publications, its acknowledgements, and the consolidator; for an engine that publishes to the consolidator at a port of KVBM's
 * choice, that one too.
 */
export function kvbmPorts(hasEnginePort = false): PortNeed[] {
  return [
    { range: "kvbm", offsets: [0, 1, ...(hasEnginePort ? [KVBM_ENGINE_OFFSET] : []), CONSOLIDATOR_OFFSET] },
  ];
}

/** Sizes are for the whole replica there (the leader divides by the blocks of all its workers), and for each GPU here. */
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
