/** Names that both the configuration and the plan use. */

/**
 * The deployment plan: pure data that says which program runs on which node of which cluster, with which GPUs
 * and ports. It is made from the configuration (`plan/plan.ts`) and realised by the components, which decide
 * nothing themselves. The same configuration always gives a byte-identical plan.
 *
 * Values that are unknown until a node exists are placeholders in `command`, `env`, and the URLs of probes,
 * replaced by the node's launcher (`runtime/launch.py`):
 *
 * - `{{HEAD_IP}}`: address of the cluster's rank 0, which has the control plane (`HEAD_IP` in the
 *   environment).
 * - `{{NODE_IP}}`: address of the node itself.
 * - `{{NODE_DIR}}`: the node's own directory (data of etcd and NATS, logs, secrets).
 * - `{{MODELS}}`: directory of the models copied from buckets, filled before any program starts
 *   (`plan/model.ts`).
 * - `{{CLUSTER_DIR}}`: a directory shared by all nodes of the cluster. Only with the local target, where all
 *   nodes are on one machine; used by Dynamo's file discovery.
 * - `{{RANK_IP_<n>}}`: address of the cluster's node of rank n (`{{RANK_IP_3}}`), for a replica over several
 *   nodes that does not start on the head.
 * - `{{CONTROL_IP}}`: address of the node with etcd and NATS, if it is in another cluster (dedicated
 *   placement).
 * - `{{GPUS}}`: the program's `gpus`, as CUDA counts them there; `{{NODE_INTERFACE}}`: the network interface
 *   with the node's address. Both only as the whole value of a variable.
 */
export const ENGINES = ["sglang", "vllm", "trtllm", "mocker"] as const;
export type EngineName = (typeof ENGINES)[number];

/** What a worker does: whole requests, one of their two phases, or image encoding. */
export const WORKER_ROLES = ["aggregated", "prefill", "decode", "encode"] as const;
export type WorkerRole = (typeof WORKER_ROLES)[number];
