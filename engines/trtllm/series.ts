/** `tensorrt_llm/metrics/collector.py`; Dynamo's worker exports them only with `router.kvEvents`. */
import { type EngineSeries, worker } from "../series";

const gauge = worker("gauge");
const histogram = worker("histogram");

export const SERIES: readonly EngineSeries[] = [
  gauge(
    "trtllm_kv_cache_utilization",
    "How full the KV cache is, 0 to 1.",
    { title: "KV cache in use, in the engine's words", unit: "percentunit", draw: "max" },
    { kvRouter: true },
  ),
  gauge(
    "trtllm_kv_cache_hit_rate",
    "Share of KV blocks found in the cache, 0 to 1.",
    { title: "Cache hit rate", unit: "percentunit", draw: "max" },
    { kvRouter: true },
  ),
  histogram(
    "trtllm_request_queue_time_seconds",
    "Time that requests wait for room in the batch.",
    { title: "Waiting for the batch, p95", unit: "s", draw: "p95" },
    { kvRouter: true },
  ),
];
