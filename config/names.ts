/** Names that both the configuration and the plan use. */

export const ENGINES = ["sglang", "vllm", "trtllm", "mocker"] as const;
export type EngineName = (typeof ENGINES)[number];

/** What a worker does: whole requests, one of their two phases, or image encoding. */
export const WORKER_ROLES = ["aggregated", "prefill", "decode", "encode"] as const;
export type WorkerRole = (typeof WORKER_ROLES)[number];
