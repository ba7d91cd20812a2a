/**
 * Rates and latencies from counters and histograms of Dynamo's frontends, in Prometheus' text format:
 * https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format. Pure.
 */

const PREFIX = "dynamo_frontend_";
/** `lib/llm/src/http/service/metrics.rs` of Dynamo 1.6.1. */
const TTFT = `${PREFIX}time_to_first_token_seconds`;
const ITL = `${PREFIX}inter_token_latency_seconds`;
const REQUESTS = `${PREFIX}requests_total`;
const OUTPUT_TOKENS = `${PREFIX}output_tokens_total`;
const INFLIGHT = `${PREFIX}inflight_requests`;
const QUEUED = `${PREFIX}queued_requests`;
/**
 * Share of a prompt's blocks that the chosen worker had cached, one observation per routed request; only with
 * router mode `kv`.
 */
const HIT_RATE = "dynamo_component_router_kv_hit_rate";

/** Metrics used from a frontend's `/metrics`. */
export const SERIES = [
  TTFT,
  ITL,
  REQUESTS,
  OUTPUT_TOKENS,
  INFLIGHT,
  QUEUED,
  `${HIT_RATE}_sum`,
  `${HIT_RATE}_count`,
] as const;

/** One line: a metric with its labels and value. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: -?\d+)?$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;

/** The samples in some lines; comments and other lines are ignored. */
export function samplesOf(lines: readonly string[]): Sample[] {
  return lines.flatMap((line) => {
    const [, name, labels = "", written = ""] = LINE.exec(line) ?? [];
    if (name === undefined) return [];
    const entries = [...labels.matchAll(LABEL)].map(([, key = "", value = ""]) => [key, unescaped(value)]);
    return [{ name, labels: Object.fromEntries(entries), value: numberOf(written) }];
  });
}

function unescaped(value: string): string {
  return value.replace(/\\(.)/g, (_, character: string) => (character === "n" ? "\n" : character));
}

function numberOf(written: string): number {
  if (written === "+Inf") return Number.POSITIVE_INFINITY;
  return written === "-Inf" ? Number.NEGATIVE_INFINITY : Number(written);
}

/** A histogram: number of observations of at most `le`, in ascending order of `le`. */
export type Histogram = readonly { readonly le: number; readonly count: number }[];

/** Totals at one time, of one or several frontends. */
export interface Totals {
  readonly requests: number;
  readonly failed: number;
  readonly outputTokens: number;
  readonly inflight: number;
  readonly queued: number;
  readonly ttft: Histogram;
  readonly itl: Histogram;
  /** Undefined if the router counts no hits. */
  readonly hits: { readonly sum: number; readonly count: number } | undefined;
}

export function totalsOf(samples: readonly Sample[]): Totals {
  const of = (name: string) => samples.filter((sample) => sample.name === name);
  const sum = (name: string) => of(name).reduce((total, { value }) => total + value, 0);
  const failures = of(REQUESTS).filter(({ labels }) => labels["status"] !== "success");
  return {
    requests: sum(REQUESTS),
    failed: failures.reduce((total, { value }) => total + value, 0),
    outputTokens: sum(OUTPUT_TOKENS),
    inflight: sum(INFLIGHT),
    queued: sum(QUEUED),
    ttft: histogramOf(of(`${TTFT}_bucket`)),
    itl: histogramOf(of(`${ITL}_bucket`)),
    hits:
      of(`${HIT_RATE}_count`).length === 0
        ? undefined
        : { sum: sum(`${HIT_RATE}_sum`), count: sum(`${HIT_RATE}_count`) },
  };
}

function histogramOf(buckets: readonly Sample[]): Histogram {
  return summed(buckets.map(({ labels, value }) => ({ le: numberOf(labels["le"] ?? ""), count: value })));
}

/** Merges buckets with the same bound. */
function summed(buckets: Histogram): Histogram {
  const counts = new Map<number, number>();
  for (const { le, count } of buckets) counts.set(le, (counts.get(le) ?? 0) + count);
  return [...counts].map(([le, count]) => ({ le, count })).toSorted((a, b) => a.le - b.le);
}

/**
 * Difference of two totals. A restarted frontend counts from zero again: then its total is the difference.
 */
export function between(earlier: Totals, later: Totals): Totals {
  if (later.requests < earlier.requests || observations(later.ttft) < observations(earlier.ttft))
    return later;
  const less = (a: Histogram, b: Histogram): Histogram =>
    a.map(({ le, count }) => ({ le, count: count - (b.find((one) => one.le === le)?.count ?? 0) }));
  return {
    requests: later.requests - earlier.requests,
    failed: later.failed - earlier.failed,
    outputTokens: later.outputTokens - earlier.outputTokens,
    inflight: later.inflight,
    queued: later.queued,
    ttft: less(later.ttft, earlier.ttft),
    itl: less(later.itl, earlier.itl),
    hits: later.hits && {
      sum: later.hits.sum - (earlier.hits?.sum ?? 0),
      count: later.hits.count - (earlier.hits?.count ?? 0),
    },
  };
}

/** Sum over all frontends. */
export function together(parts: readonly Totals[]): Totals {
  const sum = (of: (part: Totals) => number) => parts.reduce((total, part) => total + of(part), 0);
  const counted = parts.flatMap(({ hits }) => hits ?? []);
  return {
    requests: sum(({ requests }) => requests),
    failed: sum(({ failed }) => failed),
    outputTokens: sum(({ outputTokens }) => outputTokens),
    inflight: sum(({ inflight }) => inflight),
    queued: sum(({ queued }) => queued),
    ttft: summed(parts.flatMap(({ ttft }) => ttft)),
    itl: summed(parts.flatMap(({ itl }) => itl)),
    hits:
      counted.length === 0
        ? undefined
        : {
            sum: counted.reduce((total, one) => total + one.sum, 0),
            count: counted.reduce((total, one) => total + one.count, 0),
          },
  };
}

function observations(histogram: Histogram): number {
  return histogram.at(-1)?.count ?? 0;
}

/**
 * A quantile, linear within its bucket like Prometheus' `histogram_quantile`; undefined without observations.
 * https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile
 */
export function quantile(histogram: Histogram, q: number): number | undefined {
  const total = observations(histogram);
  if (total <= 0) return undefined;
  const rank = q * total;
  const index = histogram.findIndex(({ count }) => count >= rank && count > 0);
  const bucket = histogram[index];
  const below = histogram[index - 1] ?? { le: 0, count: 0 };
  if (bucket === undefined) return undefined;
  // Above the last finite bound only that bound is known.
  if (bucket.le === Number.POSITIVE_INFINITY) return below.le;
  if (bucket.count === below.count) return bucket.le;
  return below.le + ((bucket.le - below.le) * (rank - below.count)) / (bucket.count - below.count);
}

/** Latency in seconds. */
export interface Latency {
  readonly p50: number;
  readonly p95: number;
}

/** Traffic in a period. */
export interface Traffic {
  readonly requests: number;
  readonly failed: number;
  readonly outputTokens: number;
  /** Null without observations. */
  readonly ttft: Latency | null;
  readonly itl: Latency | null;
  /** Share of the prompts' blocks that was cached, 0 to 1; null if the router does not count. */
  readonly cacheHitRate: number | null;
}

export function trafficOf({ requests, failed, outputTokens, ttft, itl, hits }: Totals): Traffic {
  return {
    requests,
    failed,
    outputTokens,
    ttft: latencyOf(ttft),
    itl: latencyOf(itl),
    cacheHitRate: hits === undefined || hits.count <= 0 ? null : hits.sum / hits.count,
  };
}

function latencyOf(histogram: Histogram): Latency | null {
  const [p50, p95] = [quantile(histogram, 0.5), quantile(histogram, 0.95)];
  return p50 === undefined || p95 === undefined ? null : { p50, p95 };
}
