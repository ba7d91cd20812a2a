/** Series of Dynamo itself, independent of the engine. Taken from a running 1.6.1. */
import { counter, gauge, histogram } from "../../engines/series";

const KV = { kvRouter: true } as const;

/** https://github.com/ai-dynamo/dynamo/blob/v1.6.1/lib/runtime/src/metrics/prometheus_names.rs */
export const FRONTEND = {
  requests: counter(
    "frontend",
    "dynamo_frontend_requests_total",
    "Requests answered, by endpoint, status and type of error.",
  ),
  inflight: gauge("frontend", "dynamo_frontend_inflight_requests", "Requests in progress."),
  queued: gauge("frontend", "dynamo_frontend_queued_requests", "Requests that have no first token yet."),
  disconnected: gauge(
    "frontend",
    "dynamo_frontend_disconnected_clients",
    "Clients that went away before their answer was complete.",
  ),
  ttft: histogram(
    "frontend",
    "dynamo_frontend_time_to_first_token_seconds",
    "Time to the first token (TTFT).",
  ),
  itl: histogram("frontend", "dynamo_frontend_inter_token_latency_seconds", "Time between two tokens (ITL)."),
  duration: histogram(
    "frontend",
    "dynamo_frontend_request_duration_seconds",
    "Time from request to the end of the answer.",
  ),
  inputLength: histogram("frontend", "dynamo_frontend_input_sequence_tokens", "Length of prompts, tokens."),
  outputLength: histogram("frontend", "dynamo_frontend_output_sequence_tokens", "Length of answers, tokens."),
  outputTokens: counter("frontend", "dynamo_frontend_output_tokens_total", "Tokens written."),
  stage: histogram(
    "frontend",
    "dynamo_frontend_stage_duration_seconds",
    "Time in each stage of the frontend: preprocess, route, transport.",
  ),
  totalBlocks: gauge(
    "frontend",
    "dynamo_frontend_model_total_kv_blocks",
    "KV blocks that a worker has room for.",
  ),
  roundtrip: histogram(
    "frontend",
    "dynamo_request_plane_roundtrip_ttft_seconds",
    "From sending a request to a worker to its first answer.",
  ),
};

/** Series of the router inside the frontend. */
export const ROUTER = {
  hitRate: histogram(
    "frontend",
    "dynamo_component_router_kv_hit_rate",
    "Share of a prompt that the chosen worker had cached, 0 to 1.",
    KV,
  ),
  registered: gauge(
    "frontend",
    "dynamo_component_router_worker_registered",
    "Workers that the router knows, by type (an aggregated one is of type `decode`).",
    KV,
  ),
  activeBlocks: gauge(
    "frontend",
    "dynamo_frontend_worker_active_decode_blocks",
    "KV blocks of the requests that a worker is at, as the router counts them.",
    KV,
  ),
  activePrefill: gauge(
    "frontend",
    "dynamo_frontend_worker_active_prefill_tokens",
    "Prompt tokens that a worker is at, as the router counts them.",
    KV,
  ),
  pending: gauge(
    "frontend",
    "dynamo_frontend_router_queue_pending_requests",
    "Requests that the router holds back until a worker has room.",
    KV,
  ),
  overhead: histogram(
    "frontend",
    "dynamo_router_overhead_total_ms",
    "What choosing a worker takes, milliseconds.",
    KV,
  ),
  eventsApplied: counter(
    "frontend",
    "dynamo_component_kv_cache_events_applied",
    "KV events that the router has taken in, by kind and status.",
    KV,
  ),
};

export const WORKER = {
  workerRequests: counter(
    "worker",
    "dynamo_component_requests_total",
    "Requests that a worker has answered.",
  ),
  workerInflight: gauge("worker", "dynamo_component_inflight_requests", "Requests that a worker is at."),
  workerDuration: histogram(
    "worker",
    "dynamo_component_request_duration_seconds",
    "Time of a request on the worker.",
  ),
  workerCancelled: counter("worker", "dynamo_component_cancellation_total", "Requests that were called off."),
  workerQueue: gauge(
    "worker",
    "dynamo_work_handler_queue_depth",
    "Requests that have arrived at a worker and not begun.",
  ),
  firstResponse: histogram(
    "worker",
    "dynamo_work_handler_time_to_first_response_seconds",
    "From a request's arrival at the worker to its first answer.",
  ),
  uptime: gauge("worker", "dynamo_component_uptime_seconds", "Since when a worker runs."),
  eventsDropped: counter(
    "worker",
    "dynamo_component_kv_publisher_engines_dropped_events_total",
    "KV events that the engine lost before they were published; the router then takes caches for other than they are.",
    KV,
  ),
};
