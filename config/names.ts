/** Names that both the configuration and the plan use. */

/** What a worker does: whole requests, one of their two phases, or image encoding. */
export const WORKER_ROLES = ["aggregated", "prefill", "decode", "encode"] as const;
/** One of {@link WORKER_ROLES}. */
export type WorkerRole = (typeof WORKER_ROLES)[number];

/** Turns the default of a model's family off, of `reasoningParser` and `toolCallParser`. */
export const NO_PARSER = "none";

/** Dynamo namespace of frontends and workers; Dynamo's own default. */
export const NAMESPACE = "dynamo";
