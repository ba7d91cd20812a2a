/** `sglang/srt/observability/metrics_collector.py` in SGLang 0.5.21; exported with `--enable-metrics`. */
import { type EngineSeries, worker } from "../series";

const gauge = worker("gauge");
const counter = worker("counter");
const histogram = worker("histogram");

/** Those that Dynamo's mocker exports too when it simulates SGLang. */
export const ALSO_SIMULATED: readonly EngineSeries[] = [
  gauge("sglang:num_running_reqs", "Requests in the running batch.", {
    title: "Running batch",
    unit: "short",
    draw: "sum",
  }),
  gauge("sglang:num_queue_reqs", "Requests that wait for room in the batch.", {
    title: "Waiting for the batch",
    unit: "short",
    draw: "sum",
  }),
  gauge("sglang:cache_hit_rate", "Share of prompt tokens found in the cache, 0 to 1.", {
    title: "Cache hit rate",
    unit: "percentunit",
    draw: "max",
  }),
  histogram("sglang:time_to_first_token_seconds", "TTFT inside the engine.", {
    title: "TTFT in the engine, p95",
    unit: "s",
    draw: "p95",
  }),
  histogram("sglang:inter_token_latency_seconds", "ITL inside the engine.", {
    title: "ITL in the engine, p95",
    unit: "s",
    draw: "p95",
  }),
];

export const SERIES: readonly EngineSeries[] = [
  ...ALSO_SIMULATED,
  gauge("sglang:token_usage", "How full the KV pool is, 0 to 1.", {
    title: "KV pool in use",
    unit: "percentunit",
    draw: "max",
  }),
  gauge("sglang:gen_throughput", "Tokens written per second.", {
    title: "Tokens written per second",
    unit: "short",
    draw: "sum",
  }),
  gauge("sglang:num_retracted_reqs", "Requests thrown out of the batch for want of KV memory.", {
    title: "Thrown out of the batch",
    unit: "short",
    draw: "sum",
  }),
  histogram(
    "sglang:kv_transfer_latency_ms",
    "What moving a prompt's KV cache from prefill to decode takes, milliseconds.",
    { title: "KV transfer", unit: "ms", draw: "mean" },
    { disaggregated: true },
  ),
  histogram(
    "sglang:kv_transfer_speed_gb_s",
    "How fast, GB per second.",
    { title: "KV transfer, speed", unit: "GBs", draw: "mean" },
    { disaggregated: true },
  ),
  counter(
    "sglang:num_transfer_failed_reqs_total",
    "Requests whose KV cache did not arrive.",
    { title: "KV transfers that failed", unit: "reqps", draw: "rate" },
    { disaggregated: true, onceHappened: true },
  ),
];
