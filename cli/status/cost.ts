/** Current and accumulated cost of a deployment. Pure. */

import type { ClusterState } from "../../lib/nodes";
import type { Deployed } from "../deployment/deployed";

/** US dollars, without disks and traffic. Null if unknown. */
export interface CostStatus {
  readonly dollarsPerHour: number | null;
  /** Since the current clusters were launched. */
  readonly dollarsSoFar: number | null;
}

const HOUR_MS = 3_600_000;

/**
 * The price of each cluster: SkyPilot's own for the actual machines if known, else the one at `up`. This
 * machine costs nothing, and neither does a cluster that is gone.
 */
export function costOf(
  { deployment, topology, cost, prices }: Pick<Deployed, "deployment" | "topology" | "cost" | "prices">,
  states: Readonly<Record<string, ClusterState>>,
  at: Date,
): CostStatus {
  if (deployment.target === "local") return { dollarsPerHour: 0, dollarsSoFar: 0 };
  const parts = topology.map(({ name, cluster }): CostStatus => {
    const state = states[cluster];
    if (state === undefined || state.status === "GONE") return { dollarsPerHour: 0, dollarsSoFar: 0 };
    const planned = prices[name];
    const whole = topology.length === 1 ? cost?.dollarsPerHour : undefined;
    const dollarsPerHour = state.dollarsPerHour ?? planned ?? whole ?? null;
    if (dollarsPerHour === null || state.since === undefined) return { dollarsPerHour, dollarsSoFar: null };
    const hours = Math.max(0, at.getTime() - Date.parse(state.since)) / HOUR_MS;
    return { dollarsPerHour, dollarsSoFar: Math.round(dollarsPerHour * hours * 100) / 100 };
  });
  return {
    dollarsPerHour: sum(parts.map(({ dollarsPerHour }) => dollarsPerHour)),
    dollarsSoFar: sum(parts.map(({ dollarsSoFar }) => dollarsSoFar)),
  };
}

function sum(parts: readonly (number | null)[]): number | null {
  const known = parts.filter((part) => part !== null);
  return known.length < parts.length ? null : known.reduce((total, part) => total + part, 0);
}
