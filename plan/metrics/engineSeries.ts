/**
 * Series of the engines, exposed by Dynamo's workers with their own. Taken from the source named at each
 * group.
 */
import { counter, gauge, histogram } from "./define";

const REAL = ["sglang", "vllm", "trtllm"] as const;
/** The mocker exports some of SGLang's. */
const SGLANG_ALIKE = ["sglang", "mocker"] as const;

/**
 * Dynamo's gauges for all real engines: `dynamo/common/utils/prometheus.py`, class LLMBackendMetrics, in
 * `ai-dynamo` 1.6.1.
 */
export const ENGINE = {
  kvUsage: gauge(
    "worker",
    "dynamo_component_gpu_cache_usage_percent",
    "How full a worker's KV cache is, 0 to 1 in spite of its name.",
    { engines: REAL },
  ),
  kvBlocks: gauge("worker", "dynamo_component_total_blocks", "KV blocks that a worker has.", {
    engines: REAL,
  }),
  loadTime: gauge("worker", "dynamo_component_model_load_time_seconds", "What loading the model took.", {
    engines: REAL,
  }),
};

/** `sglang/srt/observability/metrics_collector.py` in SGLang 0.5.21; exported with `--enable-metrics`. */
export const SGLANG = {
  sglangRunning: gauge("worker", "sglang:num_running_reqs", "Requests in the running batch.", {
    engines: SGLANG_ALIKE,
  }),
  sglangQueue: gauge("worker", "sglang:num_queue_reqs", "Requests that wait for room in the batch.", {
    engines: SGLANG_ALIKE,
  }),
  sglangHitRate: gauge(
    "worker",
    "sglang:cache_hit_rate",
    "Share of prompt tokens found in the cache, 0 to 1.",
    { engines: SGLANG_ALIKE },
  ),
  sglangTtft: histogram("worker", "sglang:time_to_first_token_seconds", "TTFT inside the engine.", {
    engines: SGLANG_ALIKE,
  }),
  sglangItl: histogram("worker", "sglang:inter_token_latency_seconds", "ITL inside the engine.", {
    engines: SGLANG_ALIKE,
  }),
  sglangUsage: gauge("worker", "sglang:token_usage", "How full the KV pool is, 0 to 1.", {
    engines: ["sglang"],
  }),
  sglangThroughput: gauge("worker", "sglang:gen_throughput", "Tokens written per second.", {
    engines: ["sglang"],
  }),
  sglangRetracted: gauge(
    "worker",
    "sglang:num_retracted_reqs",
    "Requests thrown out of the batch for want of KV memory.",
    { engines: ["sglang"] },
  ),
  sglangTransfer: histogram(
    "worker",
    "sglang:kv_transfer_latency_ms",
    "What moving a prompt's KV cache from prefill to decode takes, milliseconds.",
    { engines: ["sglang"], disaggregated: true },
  ),
  sglangTransferSpeed: histogram("worker", "sglang:kv_transfer_speed_gb_s", "How fast, GB per second.", {
    engines: ["sglang"],
    disaggregated: true,
  }),
  sglangTransferFailed: counter(
    "worker",
    "sglang:num_transfer_failed_reqs_total",
    "Requests whose KV cache did not arrive.",
    { engines: ["sglang"], disaggregated: true, onceHappened: true },
  ),
};

/** `vllm/v1/metrics/loggers.py` in vLLM 0.26. */
export const VLLM = {
  vllmRunning: gauge("worker", "vllm:num_requests_running", "Requests in the running batch.", {
    engines: ["vllm"],
  }),
  vllmWaiting: gauge("worker", "vllm:num_requests_waiting", "Requests that wait for room in the batch.", {
    engines: ["vllm"],
  }),
  vllmUsage: gauge("worker", "vllm:kv_cache_usage_perc", "How full the KV cache is, 0 to 1.", {
    engines: ["vllm"],
  }),
  vllmPreemptions: counter(
    "worker",
    "vllm:num_preemptions_total",
    "Requests thrown out of the batch for want of KV memory.",
    { engines: ["vllm"] },
  ),
  vllmQueries: counter("worker", "vllm:prefix_cache_queries_total", "Prompt tokens looked up in the cache.", {
    engines: ["vllm"],
  }),
  vllmHits: counter("worker", "vllm:prefix_cache_hits_total", "Those found there.", { engines: ["vllm"] }),
  vllmTokens: counter("worker", "vllm:generation_tokens_total", "Tokens written.", { engines: ["vllm"] }),
};

/** `tensorrt_llm/metrics/collector.py`; Dynamo's worker exports them only with `router.kvEvents`. */
export const TRTLLM = {
  trtllmUsage: gauge("worker", "trtllm_kv_cache_utilization", "How full the KV cache is, 0 to 1.", {
    engines: ["trtllm"],
    kvRouter: true,
  }),
  trtllmHitRate: gauge(
    "worker",
    "trtllm_kv_cache_hit_rate",
    "Share of KV blocks found in the cache, 0 to 1.",
    { engines: ["trtllm"], kvRouter: true },
  ),
  trtllmQueue: histogram(
    "worker",
    "trtllm_request_queue_time_seconds",
    "Time that requests wait for room in the batch.",
    { engines: ["trtllm"], kvRouter: true },
  ),
};
