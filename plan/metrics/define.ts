/** Definition of a series. */
import type { EngineName } from "../types";

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
