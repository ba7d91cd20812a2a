/**
 * What SkyPilot's catalogs on this machine say of a deployment, for commands that only look: no server and no
 * cloud is asked.
 */

import { affordableCost, answersTo, priceQuestions } from "../components/prices";
import type { DeploymentConfig } from "../config/deployment";
import { hasCatalog } from "../config/infra";
import { Progress } from "../lib/progress";
import type { DeploymentCost } from "../plan/cost";
import type { DeploymentPlan } from "../plan/types";
import { pricesAtHand } from "../sky/observe";

/** Loading SkyPilot takes seconds, and the first time it fetches its catalogs. */
const ASK_MS = 60_000;

/**
 * What a deployment costs, where SkyPilot is installed and every infra of it has a catalog; otherwise
 * undefined.
 * @throws ConfigError when no infra of the deployment has such machines, or they may cost more than its
 * limit.
 */
export async function costByCatalogs(
  config: DeploymentConfig,
  planned: DeploymentPlan,
): Promise<DeploymentCost | undefined> {
  const { infra } = config.sky;
  if (config.target === "local" || infra.length === 0 || !infra.every(hasCatalog)) return undefined;
  const questions = priceQuestions(config);
  const tasks = questions.map((question): unknown => JSON.parse(question));
  const signal = AbortSignal.timeout(ASK_MS);
  const context = { progress: new Progress(() => undefined), signal, result: () => undefined };
  // A catalog that cannot be had in time says nothing.
  const prices = await pricesAtHand(infra, tasks, context).catch(() => undefined);
  return prices && affordableCost(config, planned, answersTo(questions, prices));
}
