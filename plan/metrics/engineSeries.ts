/** Series of the engines, exposed by Dynamo's workers with their own. */
import { ENGINES, type EngineName, engines, realEngines } from "../../engines";
import { type EngineSeries, gauge, type Series } from "../../engines/series";

/**
 * Dynamo's gauges for all real engines: `dynamo/common/utils/prometheus.py`, class LLMBackendMetrics, in
 * `ai-dynamo` 1.6.1.
 */
export const ENGINE = {
  kvUsage: gauge(
    "worker",
    "dynamo_component_gpu_cache_usage_percent",
    "How full a worker's KV cache is, 0 to 1 in spite of its name.",
    { engines: realEngines() },
  ),
  kvBlocks: gauge("worker", "dynamo_component_total_blocks", "KV blocks that a worker has.", {
    engines: realEngines(),
  }),
  loadTime: gauge("worker", "dynamo_component_model_load_time_seconds", "What loading the model took.", {
    engines: realEngines(),
  }),
};

/** What each engine says of itself, by name; one that two of them have stands here once. */
export const OWN: Readonly<Record<string, Series>> = Object.fromEntries(
  ENGINES.flatMap((name) =>
    engines[name].series.map((series) => [
      series.name,
      { ...seriesOf(series), engines: enginesWith(series) },
    ]),
  ),
);

function seriesOf({ panel: _, ...series }: EngineSeries): Series {
  return series;
}

function enginesWith({ name }: EngineSeries): EngineName[] {
  return ENGINES.filter((engine) => engines[engine].series.some((series) => series.name === name));
}
