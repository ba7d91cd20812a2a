/** Dashboard of the engine: batches, KV cache, transfer. Each engine has its own series. */
import { SERIES, type Series } from "../../plan/metrics/series";
import type { DeploymentPlan, EngineName } from "../../plan/types";
import { type Dashboard, mean, type Panel, quantile, rate, select, sum, type Unit } from "./panels";

const WORKER = ["program"];
const legend = "{{program}}";

const gauge = (series: Series, title: string, unit: Unit, more: Partial<Panel> = {}): Panel => ({
  title,
  about: series.about,
  unit,
  queries: [{ expr: `max by (program) (${select(series.name)})`, legend }],
  series: [series],
  ...more,
});
const total = (series: Series, title: string): Panel =>
  gauge(series, title, "short", { queries: [{ expr: sum(series, WORKER), legend }] });
const perSecond = (series: Series, title: string, unit: Unit): Panel =>
  gauge(series, title, unit, { queries: [{ expr: rate(series, WORKER), legend }] });
const p95 = (series: Series, title: string, unit: Unit): Panel =>
  gauge(series, title, unit, { queries: [{ expr: quantile(0.95, series, WORKER), legend }] });
const average = (series: Series, title: string, unit: Unit): Panel =>
  gauge(series, title, unit, { queries: [{ expr: mean(series, WORKER), legend }] });

const S = SERIES;

/** Panels from Dynamo's metrics common to all real engines. */
const COMMON = [
  gauge(S.kvUsage, "KV cache in use", "percentunit"),
  gauge(S.kvBlocks, "KV blocks", "short"),
  gauge(S.loadTime, "Loading the model", "s"),
];

const SGLANG = [
  total(S.sglangRunning, "Running batch"),
  total(S.sglangQueue, "Waiting for the batch"),
  gauge(S.sglangHitRate, "Cache hit rate", "percentunit"),
  p95(S.sglangTtft, "TTFT in the engine, p95", "s"),
  p95(S.sglangItl, "ITL in the engine, p95", "s"),
  gauge(S.sglangUsage, "KV pool in use", "percentunit"),
  total(S.sglangThroughput, "Tokens written per second"),
  total(S.sglangRetracted, "Thrown out of the batch"),
];
const SGLANG_TRANSFER = [
  average(S.sglangTransfer, "KV transfer", "ms"),
  average(S.sglangTransferSpeed, "KV transfer, speed", "GBs"),
  perSecond(S.sglangTransferFailed, "KV transfers that failed", "reqps"),
];

const hits = `${rate(S.vllmHits, WORKER)} / ${rate(S.vllmQueries, WORKER)}`;
const VLLM = [
  total(S.vllmRunning, "Running batch"),
  total(S.vllmWaiting, "Waiting for the batch"),
  gauge(S.vllmUsage, "KV cache in use, in the engine's words", "percentunit"),
  gauge(S.vllmHits, "Cache hit rate", "percentunit", {
    about: "Share of prompt tokens found in the cache.",
    queries: [{ expr: hits, legend }],
    series: [S.vllmHits, S.vllmQueries],
  }),
  perSecond(S.vllmPreemptions, "Thrown out of the batch", "cps"),
  perSecond(S.vllmTokens, "Tokens written per second", "cps"),
];

const TRTLLM = [
  gauge(S.trtllmUsage, "KV cache in use, in the engine's words", "percentunit"),
  gauge(S.trtllmHitRate, "Cache hit rate", "percentunit"),
  p95(S.trtllmQueue, "Waiting for the batch, p95", "s"),
];

/** Panels by engine. The mocker simulates SGLang and has some of its series. */
const PANELS: Readonly<Record<EngineName, readonly Panel[]>> = {
  sglang: [...COMMON, ...SGLANG, ...SGLANG_TRANSFER],
  mocker: SGLANG,
  vllm: [...COMMON, ...VLLM],
  trtllm: [...COMMON, ...TRTLLM],
};

export function engineDashboard({ engine }: Pick<DeploymentPlan, "engine">): Dashboard {
  return {
    uid: "dynamo-engine",
    title: `Dynamo: engine (${engine})`,
    about: "Inside the engine of each worker: batches, KV cache, transfer between prefill and decode.",
    rows: [{ title: engine, panels: PANELS[engine] }],
  };
}
