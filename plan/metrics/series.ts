/**
 * All series used by dashboards and alerts: the only place for their names, exporters and conditions. Those
 * of Dynamo were taken from a running 1.6.1 (`test/dynamo/metrics.test.ts` verifies all of them); those that
 * need a GPU, from the engines' source.
 */
import { type EngineName, isSimulated } from "../../engines";
import type { Series } from "../../engines/series";
import type { DeploymentPlan } from "../types";
import { FRONTEND, ROUTER, WORKER } from "./dynamoSeries";
import { ENGINE, OWN } from "./engineSeries";
import { ETCD, NODE, PROMETHEUS } from "./serviceSeries";

export { JOBS, type Job, type Series } from "../../engines/series";

export const SERIES = {
  ...FRONTEND,
  ...ROUTER,
  ...WORKER,
  ...ENGINE,
  ...OWN,
  ...ETCD,
  ...NODE,
  ...PROMETHEUS,
};

/**
 * Prometheus's own, for every target: 1 if the last scrape succeeded.
 * https://prometheus.io/docs/concepts/jobs_instances/
 */
export const UP = "up";

/** Why a deployment of this plan does not export the series; undefined if it does. */
export function whyAbsent(series: Series, plan: DeploymentPlan): string | undefined {
  const has = (role: string) =>
    plan.clusters.some(({ nodes }) =>
      nodes.some(({ programs }) => programs.some((one) => one.role === role)),
    );
  if (series.engines !== undefined && !series.engines.includes(plan.engine))
    return engineReason(series.engines);
  if (series.from === "node" && !has("exporter")) return "only with metrics.exporters";
  if (series.from === "prometheus" && !has("prometheus")) return "only with metrics.prometheus";
  if (series.kvRouter && plan.routerMode !== "kv") return "only with router mode kv";
  if (series.disaggregated && plan.expectedWorkers.prefill === 0) return "only with prefill and decode apart";
  if (series.program !== undefined && !has(series.program)) return `only with ${series.program}`;
  if (series.onceHappened) return "there once it has happened";
  return undefined;
}

function engineReason(engines: readonly EngineName[]): string {
  const named = engines.filter((engine) => !isSimulated(engine)).join(", ");
  const simulated = engines.filter(isSimulated).join(", ");
  return simulated === ""
    ? `needs a GPU: only with engine ${named}`
    : `only with engine ${named} (or the ${simulated})`;
}
