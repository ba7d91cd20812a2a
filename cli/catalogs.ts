/**
 * What SkyPilot's catalogs on this machine say of a deployment, for commands that only look: no server and no
 * cloud is asked.
 */

import {
  affordableCost,
  answersTo,
  limitCautions,
  priceQuestions,
  type SkyPrices,
} from "../components/prices";
import type { DeploymentConfig } from "../config/deployment";
import { hasCatalog } from "../config/infra";
import { ConfigError } from "../config/problems";
import { Progress } from "../lib/progress";
import type { DeploymentCost } from "../plan/cost";
import { factsOf } from "../plan/facts";
import { plan } from "../plan/plan";
import type { DeploymentPlan } from "../plan/types";
import { pricesAtHand } from "../sky/observe";

/** Loading SkyPilot takes seconds, and the first time it fetches its catalogs. */
const ASK_MS = 60_000;

export interface CatalogCost {
  /**
   * What a deployment costs, where SkyPilot is installed and every infra of it has a catalog; otherwise
   * undefined.
   */
  readonly cost: DeploymentCost | undefined;
  /** What may be asked for, and is more than a limit allows. */
  readonly cautions: readonly string[];
}

/**
 * @throws ConfigError when no infra of the deployment has such machines, or they may cost more than its
 * limit.
 */
export async function costByCatalogs(
  config: DeploymentConfig,
  planned: DeploymentPlan,
): Promise<CatalogCost> {
  const prices = await pricesByCatalogs([config]);
  const cost = prices && affordableCost(config, planned, prices);
  const cautions = limitCautions(
    config,
    factsOf(config, () => true),
    prices,
  );
  return { cost, cautions };
}

/** The costs of several with the same infra; for one that is refused, why. */
export async function costsByCatalogs(
  configs: readonly DeploymentConfig[],
): Promise<readonly (DeploymentCost | ConfigError)[] | undefined> {
  const prices = await pricesByCatalogs(configs);
  return (
    prices &&
    configs.map((config) => {
      const planned = plan(
        config,
        factsOf(config, () => true),
      );
      try {
        return affordableCost(config, planned, prices);
      } catch (error) {
        if (error instanceof ConfigError) return error;
        throw error;
      }
    })
  );
}

async function pricesByCatalogs(configs: readonly DeploymentConfig[]): Promise<SkyPrices | undefined> {
  const infra = configs[0]?.sky.infra ?? [];
  const isLocal = configs.some(({ target }) => target === "local");
  if (isLocal || infra.length === 0 || !infra.every(hasCatalog)) return undefined;
  const questions = [...new Set(configs.flatMap(priceQuestions))];
  const tasks = questions.map((question): unknown => JSON.parse(question));
  const signal = AbortSignal.timeout(ASK_MS);
  const context = { progress: new Progress(() => undefined), signal, result: () => undefined };
  // A catalog that cannot be had in time says nothing.
  const prices = await pricesAtHand(infra, tasks, context).catch(() => undefined);
  return prices && answersTo(questions, prices);
}
