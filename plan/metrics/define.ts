/** What a series is, and how one is written down. */
import type { EngineName } from "../types";

/** Who is scraped: the `job` label of every series. */
export const JOBS = {
  /** Dynamo's frontend, with the router in it. */
  frontend: "dynamo-frontend",
  /** A worker's status server: Dynamo's own series, and the engine's. */
  worker: "dynamo-worker",
  etcd: "etcd",
  /** `runtime/exporter.py`: the node's programs, and NATS and the gateway, which speak no Prometheus themselves. */
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

/** What has to be so that a series is there. */
type Only = Omit<Series, "name" | "kind" | "from" | "about">;

const series =
  (kind: Series["kind"]) =>
  (from: Job, name: string, about: string, only: Only = {}): Series => ({ name, kind, from, about, ...only });
export const counter = series("counter");
export const gauge = series("gauge");
export const histogram = series("histogram");
