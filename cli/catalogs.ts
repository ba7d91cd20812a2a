/** What SkyPilot's catalogs on this machine say of a deployment, for commands that only look: no server and no cloud is asked. */
import { answersTo, priceQuestions, refuseImpossible } from "../components/prices";
import { hasCatalog } from "../config/infra";
import { Progress } from "../lib/progress";
import type { DeploymentConfig } from "../plan/config";
import type { DeploymentPlan } from "../plan/types";
import { pricesAtHand } from "../sky/observe";

/** Loading SkyPilot takes seconds, and the first time it fetches its catalogs. */
const ASK_MS = 60_000;

/**
 * Refuses machines that no infra of the deployment has. Where SkyPilot is not installed, or an infra has no catalog, nothing is said.
 * @throws ConfigError
 */
export async function refuseByCatalogs(config: DeploymentConfig, planned: DeploymentPlan): Promise<void> {
  const { infra } = config.sky;
  if (config.target === "local" || infra.length === 0 || !infra.every(hasCatalog)) return;
  const questions = priceQuestions(config);
  const tasks = questions.map((question): unknown => JSON.parse(question));
  const signal = AbortSignal.timeout(ASK_MS);
  const context = { progress: new Progress(() => undefined), signal, result: () => undefined };
  // A catalog that cannot be had in time says nothing.
  const prices = await pricesAtHand(infra, tasks, context).catch(() => undefined);
  if (prices !== undefined) refuseImpossible(config, planned, answersTo(questions, prices));
}
