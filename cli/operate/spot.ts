/** Replicas that are on demand because there was no spot instance, and when spot is tried again for them. */
import type { DeploymentConfig } from "../../config/deployment";
import { Progress } from "../../lib/progress";
import { placeReplicas } from "../../plan/placement";
import { type Replicas, withReplicas } from "../../plan/scale";
import type { Deployed } from "../deployment/deployed";
import type { Reach } from "../deployment/reach";
import { Backoff } from "./pace";

/** A replica's cluster that is on demand instead of on spot instances. */
export interface OnDemand {
  /** Short name in the plan. */
  readonly name: string;
  /** Full name. */
  readonly cluster: string;
}

/** Short names of the clusters that may be on demand instead of on spot instances, in the plan's order. */
export function mayFallBack(config: DeploymentConfig, replicas: Replicas): string[] {
  if (!config.pools.some(({ spot }) => spot.fallback)) return [];
  const { clusters } = placeReplicas(withReplicas(config, replicas));
  return clusters.flatMap(({ name, spot }) => (spot?.fallback ? [name] : []));
}

/**
 * Those of them that are, and whose requests have another replica of the role to go to meanwhile.
 *
 * @param names As {@link mayFallBack}.
 */
export async function onDemandOf(
  deployed: Deployed,
  reach: Reach,
  names: readonly string[],
): Promise<OnDemand[]> {
  const states = await reach.clusters();
  const { topology } = deployed;
  return topology.flatMap(({ name, cluster }) => {
    const isAlone = !topology.some((other) => other.name !== name && roleOf(other.name) === roleOf(name));
    const isOnDemand = names.includes(name) && states[cluster]?.spot === false;
    return isOnDemand && !isAlone ? [{ name, cluster }] : [];
  });
}

/** `decode` of `decode-3`. */
function roleOf(name: string): string {
  return name.replace(/-\d+$/, "");
}

/** How long its programs may take to stop. Unit: seconds. */
const DRAIN_SECONDS = 120;

/** Gives a replica's machines back, when its requests have come to their end: the next look finds it lost. */
export async function giveBack(
  { deployment: { infra } }: Deployed,
  { cluster }: OnDemand,
  signal: AbortSignal,
): Promise<void> {
  // Loaded lazily: a deployment on this machine does not need SkyPilot.
  const { verb } = require("../../sky/down") as typeof import("../../sky/down");
  const context = { progress: new Progress(() => undefined), signal, result: () => undefined };
  await verb.run(verb.input.parse({ cluster, infra: [...infra], drainSeconds: DRAIN_SECONDS }), context);
}

/** An hour after a replica was first seen on demand, then after two, four …, at most a day. */
const PAUSES = { firstPauseSeconds: 3600, longestPauseSeconds: 86_400 };
/** Time between two looks for such replicas. Unit: milliseconds. */
const LOOK_MS = 600_000;

/** When spot is tried again: a try that ends on demand makes the next one later. */
export class SpotTries {
  #backoff: Backoff | undefined;
  #next = 0;

  /** Whether to look for replicas on demand. */
  isDue(now: number): boolean {
    return now >= this.#next;
  }

  /** The replica for which to try it now; undefined if none. @param found All that are on demand. */
  chosen(found: readonly OnDemand[], now: number): OnDemand | undefined {
    this.#next = now + LOOK_MS;
    if (found.length === 0) this.#backoff = undefined;
    else if (this.#backoff === undefined) this.#waitFrom(now);
    else if (this.#backoff.mayTry(now)) {
      this.#backoff.failed(now);
      return found[0];
    }
    return undefined;
  }

  #waitFrom(now: number): void {
    this.#backoff = new Backoff(PAUSES);
    this.#backoff.failed(now);
  }
}
