import { hasGateway } from "../access";
import type { Problem } from "../problems";
import { idleSchema, WAKING_SECONDS } from "../schedule";
import { show } from "../values";
import type { Known } from ".";

const USUAL = idleSchema.parse({});

/**
 * Rejects a rest from which nobody could wake the deployment, or that would begin anew before anybody asks.
 */
export function restChecks(known: Known): Problem[] {
  const { idle } = known;
  if (idle === undefined || idle.then === USUAL.then) return [];
  const { afterMinutes, then } = idle;
  const at = (key: keyof typeof idle, message: string): Problem => ({ path: ["idle", key], message });
  if (afterMinutes === undefined)
    return [at("then", `${show(then)} has no effect without idle.afterMinutes. Set that, or remove it.`)];
  const least = WAKING_SECONDS / 60;
  const why = `a client whose request starts workers is told to come back after ${WAKING_SECONDS} s`;
  return [
    ...(hasGateway(known) === false
      ? [
          at(
            "then",
            `${show(then)} needs access.gateway: true. A frontend alone answers 404 for a model without workers, which no client tries again, and nobody would know that it asked.`,
          ),
        ]
      : []),
    ...(afterMinutes < least
      ? [
          at(
            "afterMinutes",
            `${afterMinutes} would take the workers away again before anybody has had an answer: ${why}. Allowed: ${least} or more.`,
          ),
        ]
      : []),
  ];
}
