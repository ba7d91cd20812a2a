/** Definition of a series, and of what an engine's dashboard shows of it. */
import type { EngineName } from ".";

/** Kinds of scrape targets: the `job` label of every series. */
export const JOBS = {
  /** Dynamo's frontend, including the router. */
  frontend: "dynamo-frontend",
  /** A worker's status server: Dynamo's own series, and the engine's. */
  worker: "dynamo-worker",
  etcd: "etcd",
  /**
   * `runtime/exporter.py`: the node's programs, and NATS and the gateway, which have no Prometheus endpoint.
   */
  node: "dynamo-node",
  prometheus: "prometheus",
} as const;

export type Job = keyof typeof JOBS;

export interface Series {
  /** Prometheus name; a histogram's without `_bucket`, `_sum` and `_count`. */
  readonly name: string;
  readonly kind: "counter" | "gauge" | "histogram";
  readonly from: Job;
  /** Description, for the table in docs/metrics.md. */
  readonly about: string;
  /** Engines that export it. Default: independent of the engine. */
  readonly engines?: readonly EngineName[];
  /** Only with router mode `kv`. */
  readonly kvRouter?: true;
  /** Only if the deployment has this program. */
  readonly program?: "gateway" | "nats" | "etcd";
  /** Only with prefill/decode disaggregation. */
  readonly disaggregated?: true;
  /** Only after the first event: a counter whose labels do not exist before. */
  readonly onceHappened?: true;
}

/** Conditions for a series to be exported. */
type Only = Omit<Series, "name" | "kind" | "from" | "about">;

const series =
  (kind: Series["kind"]) =>
  (from: Job, name: string, about: string, only: Only = {}): Series => ({ name, kind, from, about, ...only });
export const counter = series("counter");
export const gauge = series("gauge");
export const histogram = series("histogram");

/**
 * Grafana's id of a unit:
 * https://github.com/grafana/grafana/blob/main/packages/grafana-data/src/valueFormats/categories.ts
 */
export type Unit = "s" | "ms" | "reqps" | "short" | "percentunit" | "bytes" | "cps" | "Bps" | "none" | "GBs";

/**
 * How the dashboard of an engine draws a series of each worker: its highest value, the sum of its values, its
 * increase per second, its 95th percentile, its mean; or the increase as a share of another series' (by
 * name).
 */
export type Drawing =
  | "max"
  | "sum"
  | "rate"
  | "p95"
  | "mean"
  | { readonly shareOf: string; readonly about: string };

/** An engine's series; it is in no panel of its own without `panel`. */
export interface EngineSeries extends Omit<Series, "engines"> {
  readonly panel?: { readonly title: string; readonly unit: Unit; readonly draw: Drawing };
}

/** A series of an engine's workers, with its panel. */
export const worker =
  (kind: Series["kind"]) =>
  (
    name: string,
    about: string,
    panel?: EngineSeries["panel"],
    only: Pick<Series, "kvRouter" | "disaggregated" | "onceHappened"> = {},
  ): EngineSeries => ({
    name,
    kind,
    from: "worker",
    about,
    ...only,
    ...(panel === undefined ? {} : { panel }),
  });
