/** `vllm/v1/metrics/loggers.py` in vLLM 0.31. */
import { type EngineSeries, worker } from "../series";

const gauge = worker("gauge");
const counter = worker("counter");

const QUERIES = "vllm:prefix_cache_queries_total";

export const SERIES: readonly EngineSeries[] = [
  gauge("vllm:num_requests_running", "Requests in the running batch.", {
    title: "Running batch",
    unit: "short",
    draw: "sum",
  }),
  gauge("vllm:num_requests_waiting", "Requests that wait for room in the batch.", {
    title: "Waiting for the batch",
    unit: "short",
    draw: "sum",
  }),
  gauge("vllm:kv_cache_usage_perc", "How full the KV cache is, 0 to 1.", {
    title: "KV cache in use, in the engine's words",
    unit: "percentunit",
    draw: "max",
  }),
  counter(QUERIES, "Prompt tokens looked up in the cache."),
  counter("vllm:prefix_cache_hits_total", "Those found there.", {
    title: "Cache hit rate",
    unit: "percentunit",
    draw: { shareOf: QUERIES, about: "Share of prompt tokens found in the cache." },
  }),
  counter("vllm:num_preemptions_total", "Requests thrown out of the batch for want of KV memory.", {
    title: "Thrown out of the batch",
    unit: "cps",
    draw: "rate",
  }),
  counter("vllm:generation_tokens_total", "Tokens written.", {
    title: "Tokens written per second",
    unit: "cps",
    draw: "rate",
  }),
];
