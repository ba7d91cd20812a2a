/** Whether what the planner and the schedule may ask for goes with the limits. Pure. */
import type { DeploymentConfig } from "../config/deployment";
import type { Problem } from "../config/problems";
import { counted } from "../lib/words";
import { type DeploymentCost, inDollars } from "./cost";
import { type Replicas, type ScaledPool, scaledPools, withReplicas } from "./scale";
import { scheduledBounds } from "./schedule";
import type { WorkerRole } from "./types";

export interface BeyondLimits {
  /** Replicas that there must be, and never can. */
  readonly problems: readonly Problem[];
  /** Replicas that the planner may ask for, and does not get. */
  readonly cautions: readonly string[];
}

/** @param costAt What a deployment costs that has as many replicas as its pools say. */
export function beyondLimits(
  config: DeploymentConfig,
  costAt: (config: DeploymentConfig) => DeploymentCost,
): BeyondLimits {
  const pools = scaledPools(config);
  const excess = (bound: "min" | "max", of: readonly ScaledPool[]) =>
    excessOf(config, costAt(withReplicas(config, numbers(of, bound))));
  if (pools.length === 0) return { problems: [], cautions: [] };
  const most = excess("max", pools);
  const entries = config.schedule.map((entry, index) => ({
    path: ["schedule", index],
    entry,
    bounds: scheduledBounds(pools, entry),
  }));
  const problems = entries.flatMap(({ path, entry, bounds }): Problem[] => {
    // The pools' own fewest are refused with the deployment itself.
    const found = Object.keys(entry.minReplicas).length === 0 ? undefined : excess("min", bounds);
    if (found === undefined) return [];
    const message = `asks for ${found.what}, and ${found.limit}: so many can never be there. Ask for fewer, or raise ${found.key}.`;
    return [{ path: [...path, "minReplicas"], message }];
  });
  const held = "what goes beyond it is told as `hold`, and not carried out";
  const scheduled = entries.flatMap(({ path, entry, bounds }) => {
    const found = Object.keys(entry.maxReplicas).length === 0 ? undefined : excess("max", bounds);
    return found
      ? [`dynamo-sky:${path.join(".")}.maxReplicas: ${found.what}, and ${found.limit}: ${held}.`]
      : [];
  });
  const whole = most && `dynamo-sky:pools: maxReplicas of all are ${most.what}, and ${most.limit}: ${held}.`;
  return { problems, cautions: [...(whole ? [whole] : []), ...(problems.length > 0 ? [] : scheduled)] };
}

function numbers(pools: readonly ScaledPool[], bound: "min" | "max"): Replicas {
  return Object.fromEntries(pools.map((pool): [WorkerRole, number] => [pool.role, pool[bound]]));
}

/** What is more than a limit; undefined if nothing is, or nobody knows the price. */
function excessOf({ limits }: DeploymentConfig, { gpus, mostDollarsPerHour: most }: DeploymentCost) {
  if (limits.gpus !== undefined && gpus > limits.gpus)
    return { what: counted(gpus, "GPU"), limit: `limits.gpus is ${limits.gpus}`, key: "limits.gpus" };
  if (limits.dollarsPerHour === undefined || most === null || most <= limits.dollarsPerHour) return undefined;
  const limit = `limits.dollarsPerHour is ${limits.dollarsPerHour}`;
  return { what: `up to ${inDollars(most)} an hour`, limit, key: "limits.dollarsPerHour" };
}
