/** The dashboards of a deployment, as data and as JSON for Grafana. Pure. */
import type { DeploymentConfig } from "../../config/deployment";
import { type Series, whyAbsent } from "../../plan/metrics/series";
import type { DeploymentPlan } from "../../plan/types";
import { engineDashboard } from "./engine";
import { nodesDashboard } from "./nodes";
import type { Dashboard } from "./panels";
import { serviceDashboard } from "./service";
import { workersDashboard } from "./workers";

export { type Dashboard, grafanaJson, type Panel, VARIABLES } from "./panels";

/** Panels of series that appear only after an event are kept, and empty until then. */
function isPossible(plan: DeploymentPlan): (series: Series) => boolean {
  return ({ onceHappened: _, ...series }) => whyAbsent(series, plan) === undefined;
}

/** All dashboards; panels without metrics in this deployment are left out. */
export function dashboardsOf(config: Pick<DeploymentConfig, "metrics">, plan: DeploymentPlan): Dashboard[] {
  const has = isPossible(plan);
  const all = [serviceDashboard(config, plan), workersDashboard(), engineDashboard(plan), nodesDashboard()];
  return all.map((dashboard) => {
    const rows = dashboard.rows.map((row) => ({
      ...row,
      panels: row.panels.filter(({ series }) => series.every(has)),
    }));
    return { ...dashboard, rows: rows.filter(({ panels }) => panels.length > 0) };
  });
}
