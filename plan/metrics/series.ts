/**
 * Every series that a dashboard or an alert asks for: the one home of their names, of who exports them and of what has to be so that
 * they are there. Those of Dynamo were read from a running 1.4.2 (`test/dynamo/metrics.test.ts` asks for all of them again); those
 * that need a GPU, from the source that stands beside them.
 */
import type { DeploymentPlan, EngineName } from "../types";

/** Who is scraped: the `job` label of every series. */
export const JOBS = {
  /** Dynamo's frontend, with the router in it. */
  frontend: "dynamo-frontend",
  /** A worker's status server: Dynamo's own series, and the engine's. */
  worker: "dynamo-worker",
  etcd: "etcd",
  /** `node/exporter.py`: the node's programs, and NATS and the gateway, which speak no Prometheus themselves. */
  node: "dynamo-node",
  prometheus: "prometheus",
} as const;

export type Job = keyof typeof JOBS;

export interface Series {
  /** As Prometheus has it; a histogram without `_bucket`, `_sum` and `_count`. */
  readonly name: string;
  readonly kind: "counter" | "gauge" | "histogram";
  readonly from: Job;
  /** What it tells, for the table in docs/metrics.md. */
  readonly about: string;
  /** Engines that export it. Default: it does not depend on the engine. */
  readonly engines?: readonly EngineName[];
  /** Only with router mode `kv`. */
  readonly kvRouter?: true;
  /** Only where the deployment has this program. */
  readonly program?: "gateway" | "nats" | "etcd";
  /** Only where prefill and decode are apart. */
  readonly disaggregated?: true;
  /** Only once it has happened: a counter whose labels do not exist before. */
  readonly onceHappened?: true;
}

const REAL = ["sglang", "vllm", "trtllm"] as const;
/** The mocker exports some of SGLang's. */
const SGLANG_ALIKE = ["sglang", "mocker"] as const;

/** https://github.com/ai-dynamo/dynamo/blob/v1.4.2/lib/runtime/src/metrics/prometheus_names.rs */
const FRONTEND = {
  requests: {
    name: "dynamo_frontend_requests_total",
    kind: "counter",
    from: "frontend",
    about: "Requests answered, by endpoint, status and type of error.",
  },
  inflight: {
    name: "dynamo_frontend_inflight_requests",
    kind: "gauge",
    from: "frontend",
    about: "Requests in progress.",
  },
  queued: {
    name: "dynamo_frontend_queued_requests",
    kind: "gauge",
    from: "frontend",
    about: "Requests that have no first token yet.",
  },
  disconnected: {
    name: "dynamo_frontend_disconnected_clients",
    kind: "gauge",
    from: "frontend",
    about: "Clients that went away before their answer was complete.",
  },
  ttft: {
    name: "dynamo_frontend_time_to_first_token_seconds",
    kind: "histogram",
    from: "frontend",
    about: "Time to the first token (TTFT).",
  },
  itl: {
    name: "dynamo_frontend_inter_token_latency_seconds",
    kind: "histogram",
    from: "frontend",
    about: "Time between two tokens (ITL).",
  },
  duration: {
    name: "dynamo_frontend_request_duration_seconds",
    kind: "histogram",
    from: "frontend",
    about: "Time from request to the end of the answer.",
  },
  inputLength: {
    name: "dynamo_frontend_input_sequence_tokens",
    kind: "histogram",
    from: "frontend",
    about: "Length of prompts, tokens.",
  },
  outputLength: {
    name: "dynamo_frontend_output_sequence_tokens",
    kind: "histogram",
    from: "frontend",
    about: "Length of answers, tokens.",
  },
  outputTokens: {
    name: "dynamo_frontend_output_tokens_total",
    kind: "counter",
    from: "frontend",
    about: "Tokens written.",
  },
  stage: {
    name: "dynamo_frontend_stage_duration_seconds",
    kind: "histogram",
    from: "frontend",
    about: "Time in each stage of the frontend: preprocess, route, transport.",
  },
  totalBlocks: {
    name: "dynamo_frontend_model_total_kv_blocks",
    kind: "gauge",
    from: "frontend",
    about: "KV blocks that a worker has room for.",
  },
  roundtrip: {
    name: "dynamo_request_plane_roundtrip_ttft_seconds",
    kind: "histogram",
    from: "frontend",
    about: "From sending a request to a worker to its first answer.",
  },
} as const satisfies Record<string, Series>;

/** Of the router inside the frontend. */
const ROUTER = {
  hitRate: {
    name: "dynamo_component_router_kv_hit_rate",
    kind: "histogram",
    from: "frontend",
    kvRouter: true,
    about: "Share of a prompt that the chosen worker had cached, 0 to 1.",
  },
  registered: {
    name: "dynamo_component_router_worker_registered",
    kind: "gauge",
    from: "frontend",
    kvRouter: true,
    about: "Workers that the router knows, by type (an aggregated one is of type `decode`).",
  },
  activeBlocks: {
    name: "dynamo_frontend_worker_active_decode_blocks",
    kind: "gauge",
    from: "frontend",
    kvRouter: true,
    about: "KV blocks of the requests that a worker is at, as the router counts them.",
  },
  activePrefill: {
    name: "dynamo_frontend_worker_active_prefill_tokens",
    kind: "gauge",
    from: "frontend",
    kvRouter: true,
    about: "Prompt tokens that a worker is at, as the router counts them.",
  },
  pending: {
    name: "dynamo_frontend_router_queue_pending_requests",
    kind: "gauge",
    from: "frontend",
    kvRouter: true,
    about: "Requests that the router holds back until a worker has room.",
  },
  overhead: {
    name: "dynamo_router_overhead_total_ms",
    kind: "histogram",
    from: "frontend",
    kvRouter: true,
    about: "What choosing a worker takes, milliseconds.",
  },
  eventsApplied: {
    name: "dynamo_component_kv_cache_events_applied",
    kind: "counter",
    from: "frontend",
    kvRouter: true,
    about: "KV events that the router has taken in, by kind and status.",
  },
} as const satisfies Record<string, Series>;

const WORKER = {
  workerRequests: {
    name: "dynamo_component_requests_total",
    kind: "counter",
    from: "worker",
    about: "Requests that a worker has answered.",
  },
  workerInflight: {
    name: "dynamo_component_inflight_requests",
    kind: "gauge",
    from: "worker",
    about: "Requests that a worker is at.",
  },
  workerDuration: {
    name: "dynamo_component_request_duration_seconds",
    kind: "histogram",
    from: "worker",
    about: "Time of a request on the worker.",
  },
  workerCancelled: {
    name: "dynamo_component_cancellation_total",
    kind: "counter",
    from: "worker",
    about: "Requests that were called off.",
  },
  workerQueue: {
    name: "dynamo_work_handler_queue_depth",
    kind: "gauge",
    from: "worker",
    about: "Requests that have arrived at a worker and not begun.",
  },
  firstResponse: {
    name: "dynamo_work_handler_time_to_first_response_seconds",
    kind: "histogram",
    from: "worker",
    about: "From a request's arrival at the worker to its first answer.",
  },
  uptime: {
    name: "dynamo_component_uptime_seconds",
    kind: "gauge",
    from: "worker",
    about: "Since when a worker runs.",
  },
  eventsDropped: {
    name: "dynamo_component_kv_publisher_engines_dropped_events_total",
    kind: "counter",
    from: "worker",
    kvRouter: true,
    about:
      "KV events that the engine lost before they were published; the router then takes caches for other than they are.",
  },
} as const satisfies Record<string, Series>;

/** Dynamo's gauges over all real engines: `dynamo/common/utils/prometheus.py`, class LLMBackendMetrics, in `ai-dynamo` 1.4.2. */
const ENGINE = {
  kvUsage: {
    name: "dynamo_component_gpu_cache_usage_percent",
    kind: "gauge",
    from: "worker",
    engines: REAL,
    about: "How full a worker's KV cache is, 0 to 1 in spite of its name.",
  },
  kvBlocks: {
    name: "dynamo_component_total_blocks",
    kind: "gauge",
    from: "worker",
    engines: REAL,
    about: "KV blocks that a worker has.",
  },
  loadTime: {
    name: "dynamo_component_model_load_time_seconds",
    kind: "gauge",
    from: "worker",
    engines: REAL,
    about: "What loading the model took.",
  },
} as const satisfies Record<string, Series>;

/** `sglang/srt/observability/metrics_collector.py` in SGLang 0.5.16; exported with `--enable-metrics`. */
const SGLANG = {
  sglangRunning: {
    name: "sglang:num_running_reqs",
    kind: "gauge",
    from: "worker",
    engines: SGLANG_ALIKE,
    about: "Requests in the running batch.",
  },
  sglangQueue: {
    name: "sglang:num_queue_reqs",
    kind: "gauge",
    from: "worker",
    engines: SGLANG_ALIKE,
    about: "Requests that wait for room in the batch.",
  },
  sglangHitRate: {
    name: "sglang:cache_hit_rate",
    kind: "gauge",
    from: "worker",
    engines: SGLANG_ALIKE,
    about: "Share of prompt tokens found in the cache, 0 to 1.",
  },
  sglangTtft: {
    name: "sglang:time_to_first_token_seconds",
    kind: "histogram",
    from: "worker",
    engines: SGLANG_ALIKE,
    about: "TTFT inside the engine.",
  },
  sglangItl: {
    name: "sglang:inter_token_latency_seconds",
    kind: "histogram",
    from: "worker",
    engines: SGLANG_ALIKE,
    about: "ITL inside the engine.",
  },
  sglangUsage: {
    name: "sglang:token_usage",
    kind: "gauge",
    from: "worker",
    engines: ["sglang"],
    about: "How full the KV pool is, 0 to 1.",
  },
  sglangThroughput: {
    name: "sglang:gen_throughput",
    kind: "gauge",
    from: "worker",
    engines: ["sglang"],
    about: "Tokens written per second.",
  },
  sglangRetracted: {
    name: "sglang:num_retracted_reqs",
    kind: "gauge",
    from: "worker",
    engines: ["sglang"],
    about: "Requests thrown out of the batch for want of KV memory.",
  },
  sglangTransfer: {
    name: "sglang:kv_transfer_latency_ms",
    kind: "histogram",
    from: "worker",
    engines: ["sglang"],
    disaggregated: true,
    about: "What moving a prompt's KV cache from prefill to decode takes, milliseconds.",
  },
  sglangTransferSpeed: {
    name: "sglang:kv_transfer_speed_gb_s",
    kind: "histogram",
    from: "worker",
    engines: ["sglang"],
    disaggregated: true,
    about: "How fast, GB per second.",
  },
  sglangTransferFailed: {
    name: "sglang:num_transfer_failed_reqs_total",
    kind: "counter",
    from: "worker",
    engines: ["sglang"],
    disaggregated: true,
    onceHappened: true,
    about: "Requests whose KV cache did not arrive.",
  },
} as const satisfies Record<string, Series>;

/** `vllm/v1/metrics/loggers.py` in vLLM 0.26. */
const VLLM = {
  vllmRunning: {
    name: "vllm:num_requests_running",
    kind: "gauge",
    from: "worker",
    engines: ["vllm"],
    about: "Requests in the running batch.",
  },
  vllmWaiting: {
    name: "vllm:num_requests_waiting",
    kind: "gauge",
    from: "worker",
    engines: ["vllm"],
    about: "Requests that wait for room in the batch.",
  },
  vllmUsage: {
    name: "vllm:kv_cache_usage_perc",
    kind: "gauge",
    from: "worker",
    engines: ["vllm"],
    about: "How full the KV cache is, 0 to 1.",
  },
  vllmPreemptions: {
    name: "vllm:num_preemptions_total",
    kind: "counter",
    from: "worker",
    engines: ["vllm"],
    about: "Requests thrown out of the batch for want of KV memory.",
  },
  vllmQueries: {
    name: "vllm:prefix_cache_queries_total",
    kind: "counter",
    from: "worker",
    engines: ["vllm"],
    about: "Prompt tokens looked up in the cache.",
  },
  vllmHits: {
    name: "vllm:prefix_cache_hits_total",
    kind: "counter",
    from: "worker",
    engines: ["vllm"],
    about: "Those found there.",
  },
  vllmTokens: {
    name: "vllm:generation_tokens_total",
    kind: "counter",
    from: "worker",
    engines: ["vllm"],
    about: "Tokens written.",
  },
} as const satisfies Record<string, Series>;

/** `tensorrt_llm/metrics/collector.py`; Dynamo's worker makes them only with `router.kvEvents`. */
const TRTLLM = {
  trtllmUsage: {
    name: "trtllm_kv_cache_utilization",
    kind: "gauge",
    from: "worker",
    engines: ["trtllm"],
    kvRouter: true,
    about: "How full the KV cache is, 0 to 1.",
  },
  trtllmHitRate: {
    name: "trtllm_kv_cache_hit_rate",
    kind: "gauge",
    from: "worker",
    engines: ["trtllm"],
    kvRouter: true,
    about: "Share of KV blocks found in the cache, 0 to 1.",
  },
  trtllmQueue: {
    name: "trtllm_request_queue_time_seconds",
    kind: "histogram",
    from: "worker",
    engines: ["trtllm"],
    kvRouter: true,
    about: "Time that requests wait for room in the batch.",
  },
} as const satisfies Record<string, Series>;

/** https://etcd.io/docs/v3.4/metrics/ */
const ETCD = {
  etcdLeader: {
    name: "etcd_server_has_leader",
    kind: "gauge",
    from: "etcd",
    program: "etcd",
    about: "1 while etcd can write.",
  },
  etcdSize: {
    name: "etcd_mvcc_db_total_size_in_bytes",
    kind: "gauge",
    from: "etcd",
    program: "etcd",
    about: "Size of the database.",
  },
  etcdQuota: {
    name: "etcd_server_quota_backend_bytes",
    kind: "gauge",
    from: "etcd",
    program: "etcd",
    about: "The size at which etcd stops writing.",
  },
  etcdFsync: {
    name: "etcd_disk_wal_fsync_duration_seconds",
    kind: "histogram",
    from: "etcd",
    program: "etcd",
    about: "How long the disk takes to keep a write.",
  },
  etcdProposals: {
    name: "etcd_server_proposals_committed_total",
    kind: "counter",
    from: "etcd",
    program: "etcd",
    about: "Writes.",
  },
  etcdLeases: {
    name: "etcd_debugging_server_lease_expired_total",
    kind: "counter",
    from: "etcd",
    program: "etcd",
    about: "Leases that ran out: processes that went silent.",
  },
} as const satisfies Record<string, Series>;

/**
 * Of `node/exporter.py`. NATS has the names of NATS's own exporter (https://github.com/nats-io/prometheus-nats-exporter) and nginx those of
 * nginx's (https://github.com/nginx/nginx-prometheus-exporter), so that what others have made for those works here.
 */
const NODE = {
  programUp: {
    name: "dynamo_sky_program_up",
    kind: "gauge",
    from: "node",
    about: "1 while a program runs, 0 while it waits, is held back or is stopped.",
  },
  programStarts: {
    name: "dynamo_sky_program_starts_total",
    kind: "counter",
    from: "node",
    about: "How often a program was started.",
  },
  programCrashes: {
    name: "dynamo_sky_program_crashes",
    kind: "gauge",
    from: "node",
    about: "How often in a row it ended right after its start.",
  },
  programStartTime: {
    name: "dynamo_sky_program_start_time_seconds",
    kind: "gauge",
    from: "node",
    about: "When it was started last, Unix time.",
  },
  programMemory: {
    name: "dynamo_sky_program_resident_memory_bytes",
    kind: "gauge",
    from: "node",
    about: "Memory of a program and its children.",
  },
  programCpu: {
    name: "dynamo_sky_program_cpu_seconds_total",
    kind: "counter",
    from: "node",
    about: "CPU time of a program and its children that live.",
  },
  diskFree: {
    name: "dynamo_sky_node_disk_free_bytes",
    kind: "gauge",
    from: "node",
    about: "Room on the disk of the node's directory.",
  },
  natsUp: { name: "nats_up", kind: "gauge", from: "node", program: "nats", about: "1 while NATS answers." },
  natsConnections: {
    name: "gnatsd_varz_connections",
    kind: "gauge",
    from: "node",
    program: "nats",
    about: "Connected processes.",
  },
  natsIn: {
    name: "gnatsd_varz_in_msgs",
    kind: "counter",
    from: "node",
    program: "nats",
    about: "Messages received: KV events, for the most part.",
  },
  natsOut: {
    name: "gnatsd_varz_out_msgs",
    kind: "counter",
    from: "node",
    program: "nats",
    about: "Messages handed on.",
  },
  natsBytes: {
    name: "gnatsd_varz_in_bytes",
    kind: "counter",
    from: "node",
    program: "nats",
    about: "Bytes received.",
  },
  natsSlow: {
    name: "gnatsd_varz_slow_consumers",
    kind: "counter",
    from: "node",
    program: "nats",
    about: "Receivers that were too slow and lost messages.",
  },
  gatewayUp: {
    name: "nginx_up",
    kind: "gauge",
    from: "node",
    program: "gateway",
    about: "1 while the gateway answers.",
  },
  gatewayConnections: {
    name: "nginx_connections_active",
    kind: "gauge",
    from: "node",
    program: "gateway",
    about: "Open connections of clients.",
  },
  gatewayRequests: {
    name: "dynamo_sky_gateway_requests_total",
    kind: "counter",
    from: "node",
    program: "gateway",
    about: "Answers of the gateway, by name of the key (empty without one) and status.",
  },
} as const satisfies Record<string, Series>;

const PROMETHEUS = {
  headSeries: {
    name: "prometheus_tsdb_head_series",
    kind: "gauge",
    from: "prometheus",
    about: "Series in memory.",
  },
  ruleFailures: {
    name: "prometheus_rule_evaluation_failures_total",
    kind: "counter",
    from: "prometheus",
    about: "Rules that could not be evaluated.",
  },
} as const satisfies Record<string, Series>;

export const SERIES = {
  ...FRONTEND,
  ...ROUTER,
  ...WORKER,
  ...ENGINE,
  ...SGLANG,
  ...VLLM,
  ...TRTLLM,
  ...ETCD,
  ...NODE,
  ...PROMETHEUS,
} as const satisfies Record<string, Series>;

/** Prometheus's own, of every target: 1 where the last scrape succeeded. https://prometheus.io/docs/concepts/jobs_instances/ */
export const UP = "up";

/** Why a deployment of this plan does not export the series; undefined where it does. */
export function whyAbsent(series: Series, plan: DeploymentPlan): string | undefined {
  const has = (role: string) =>
    plan.clusters.some(({ nodes }) =>
      nodes.some(({ programs }) => programs.some((one) => one.role === role)),
    );
  if (series.engines !== undefined && !series.engines.includes(plan.engine))
    return engineReason(series.engines);
  if (series.kvRouter && plan.routerMode !== "kv") return "only with router mode kv";
  if (series.disaggregated && plan.expectedWorkers.prefill === 0) return "only with prefill and decode apart";
  if (series.program !== undefined && !has(series.program)) return `only with ${series.program}`;
  if (series.onceHappened) return "there once it has happened";
  return undefined;
}

function engineReason(engines: readonly EngineName[]): string {
  const named = engines.filter((engine) => engine !== "mocker").join(", ");
  return engines.includes("mocker")
    ? `only with engine ${named} (or the mocker)`
    : `needs a GPU: only with engine ${named}`;
}
