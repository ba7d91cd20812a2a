/** Names that both the configuration and the plan use. */

/**
 * The deployment plan: pure data that says which program runs on which node of which cluster, on which GPUs
 * and ports. The configuration makes it (`plan/plan.ts`), the components carry it out, and nothing else
 * decides anything. The same configuration always gives a byte-identical plan.
 *
 * What is not known until a node exists stands in `command`, `env`, and in the URLs of probes as a placeholder, which
 * the launcher on the node (`runtime/launch.py`) replaces:
 *
 * - `{{HEAD_IP}}`: address of the cluster's rank 0, where the control plane is (`HEAD_IP` in the environment).
 * - `{{NODE_IP}}`: address of the node itself.
 * - `{{NODE_DIR}}`: the node's own directory (data of etcd and NATS, logs, secrets).
 * - `{{MODELS}}`: directory of the models that came out of buckets, which are there before any program starts (`plan/model.ts`).
 * - `{{CLUSTER_DIR}}`: a directory that all nodes of the cluster share. Only with the local target, where all nodes are
 *   on one machine; Dynamo's file discovery lives there.
 * - `{{RANK_IP_<n>}}`: address of the cluster's node of rank n (`{{RANK_IP_3}}`), for a replica over several nodes that does
 *   not begin on the head.
 * - `{{CONTROL_IP}}`: address of the node with etcd and NATS where that is in another cluster (dedicated placement).
 * - `{{GPUS}}`: the program's `gpus`, as CUDA counts them there; `{{NODE_INTERFACE}}`: the network interface with the node's address. Both
 *   only as the whole value of a variable.
 */
export const ENGINES = ["sglang", "vllm", "trtllm", "mocker"] as const;
export type EngineName = (typeof ENGINES)[number];

/** What a worker does: all of a request, one of its two phases, or the pictures that come before them. */
export const WORKER_ROLES = ["aggregated", "prefill", "decode", "encode"] as const;
export type WorkerRole = (typeof WORKER_ROLES)[number];
