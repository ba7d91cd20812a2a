import type { Problem } from "../../problems";
import type { Known } from "./index";

/** Mistakes between metrics and other settings. */
export function metricsChecks({ metrics, placement }: Known): Problem[] {
  if (metrics?.prometheus !== true || placement !== "dedicated") return [];
  const message =
    "true does not go with placement dedicated: the control cluster does not learn the addresses of the workers' clusters, which come and go. " +
    "Set metrics.exporters to true instead, and let a Prometheus of your own scrape them: npm run metrics.";
  return [{ path: ["metrics", "prometheus"], message }];
}
