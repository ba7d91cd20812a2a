/** Price queries to SkyPilot for the clusters of a deployment, and their total. */

import type { DeploymentConfig } from "../config/deployment";
import { ConfigError } from "../config/problems";
import { stableJson } from "../lib/stableJson";
import { beyondLimits } from "../plan/bounds";
import type { PlanFacts } from "../plan/context";
import {
  assertAffordable,
  assertCheapMachines,
  type ClusterPrice,
  costOf,
  type DeploymentCost,
} from "../plan/cost";
import { factsOf } from "../plan/facts";
import { machineProblems } from "../plan/machines";
import { plan } from "../plan/plan";
import type { ClusterPlan, DeploymentPlan } from "../plan/types";
import { pricedTask } from "../sky/task";

/** By query: equal clusters are queried once. */
export type SkyPrices = ReadonlyMap<string, ClusterPrice>;

/** SkyPilot's input for a cluster. */
function question(cluster: ClusterPlan, config: DeploymentConfig): string {
  return stableJson(pricedTask({ cluster, config }));
}

/**
 * Price queries to make before anything is provisioned, without duplicates.
 * @throws ConfigError if the deployment cannot be planned, so that no query is made in vain.
 */
export function priceQuestions(config: DeploymentConfig): string[] {
  const { clusters } = plan(
    config,
    factsOf(config, () => true),
  );
  return [...new Set(clusters.map((cluster) => question(cluster, config)))];
}

/** Answers of SkyPilot, in the order of the questions. */
export function answersTo(questions: readonly string[], answers: readonly ClusterPrice[]): SkyPrices {
  return new Map(answers.map((price, index) => [questions[index] ?? "", price] as const));
}

/** SkyPilot's answer about a cluster; undefined if it was not asked. */
function priceIn(prices: SkyPrices | undefined, config: DeploymentConfig) {
  return (cluster: ClusterPlan) => prices?.get(question(cluster, config));
}

/** @throws ConfigError when no infra of the deployment has such machines, as far as the prices say it. */
export function refuseImpossible(
  config: DeploymentConfig,
  planned: DeploymentPlan,
  prices?: SkyPrices,
): void {
  const problems = machineProblems(config, planned.clusters, priceIn(prices, config));
  if (problems.length > 0) throw new ConfigError(problems);
}

/**
 * What a deployment costs, which is nothing where it can never be launched: that is refused.
 * @param prices Answers to {@link priceQuestions}. Default: SkyPilot was not asked, and nothing is known.
 * @throws ConfigError when no cloud has such machines, or they may cost more than the configuration allows.
 */
export function affordableCost(
  config: DeploymentConfig,
  planned: DeploymentPlan,
  prices?: SkyPrices,
): DeploymentCost {
  refuseImpossible(config, planned, prices);
  if (config.target === "sky") assertCheapMachines(config, planned.clusters, priceIn(prices, config));
  const cost = costAt(config, planned, prices);
  assertAffordable(config, cost);
  return cost;
}

/** What a deployment costs, whatever that is: neither limits nor missing machines refuse it. */
export function costAt(
  config: DeploymentConfig,
  planned: Pick<DeploymentPlan, "clusters">,
  prices: SkyPrices | undefined,
): DeploymentCost {
  return costOf(config, planned, priceIn(prices, config));
}

/**
 * What the planner may ask for and the limits do not allow. @throws ConfigError for what the schedule asks
 * for.
 */
export function limitCautions(
  config: DeploymentConfig,
  facts: PlanFacts,
  prices?: SkyPrices,
): readonly string[] {
  const { problems, cautions } = beyondLimits(config, (scaled) =>
    // Here the limits are compared, not in the plan.
    costAt(scaled, plan({ ...scaled, limits: { allowUnknownPrice: true } }, facts), prices),
  );
  if (problems.length > 0) throw new ConfigError(problems);
  return cautions;
}
