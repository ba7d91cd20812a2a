/**
 * What must be set up again because it should run and does not. Plain functions.
 *
 * A reason holds the time at which it was seen: Pulumi compares it with the one that is stored from a former repair, and
 * two losses of the same kind would otherwise be equal, so that the second would not be repaired.
 */
import { type ObservedNode, UNFINISHED } from "../local/observe";
import type { ClusterPlan } from "../plan/types";
import { type Unit, unitsOf } from "../plan/units";
import { SUFFIX_LENGTH } from "./names";
import type { Observation, ObservedCluster } from "./observation";

/** What is broken in a cluster that should run. */
export interface LocalRepairs {
  /** Why the nodes must be set up again; with them, all units. */
  readonly lease?: string;
  /** Why units must be started again, by name of the unit. */
  readonly units: ReadonlyMap<string, string>;
  /** Why the deployment must prove again that it serves, though nothing of the cluster is broken. */
  readonly readiness?: string;
}

const NOTHING: ObservedCluster = { nodes: [], unproven: false };

/** Words of supervisor for a program that runs, or is about to. */
const RUNNING = new Set(["RUNNING", "STARTING"]);

/**
 * Compares a cluster's plan with what was seen of it.
 *
 * @param base The cluster's name without its random suffix, which is not known while resources are being declared. Should
 *   several clusters bear it, which takes a lost state, the healthiest is taken for this one.
 */
export function localRepairs(plan: ClusterPlan, base: string, observation: Observation): LocalRepairs {
  const name = new RegExp(`^${base}-[a-z0-9]{${SUFFIX_LENGTH}}$`);
  const candidates = [...observation.clusters].flatMap(([cluster, seen]) =>
    name.test(cluster) ? [seen] : [],
  );
  const [best] = (candidates.length === 0 ? [NOTHING] : candidates)
    .map((seen) => repairsOf(plan, seen, observation.at))
    .toSorted((a, b) => severity(a) - severity(b));
  return best ?? { units: new Map() };
}

function severity({ lease, units }: LocalRepairs): number {
  return (lease === undefined ? 0 : 1_000_000) + units.size;
}

function repairsOf(plan: ClusterPlan, { nodes, unproven }: ObservedCluster, at: string): LocalRepairs {
  const lost = plan.nodes.find(({ rank }) => !nodes.some((node) => node.rank === rank && node.supervisor));
  const units = new Map<string, string>();
  for (const unit of unitsOf(plan)) {
    const broken = firstBroken(unit, nodes);
    if (broken !== undefined) units.set(unit.name, `${broken}, seen ${at}`);
  }
  return {
    ...(lost === undefined ? {} : { lease: `node ${lost.rank} does not run, seen ${at}` }),
    units,
    ...(unproven ? { readiness: `not ready at the end of the last update, seen ${at}` } : {}),
  };
}

/** The first program of the unit that does not run, in words. */
function firstBroken(unit: Unit, nodes: readonly ObservedNode[]): string | undefined {
  for (const { rank, programs } of unit.nodes) {
    const seen = nodes.find((node) => node.rank === rank)?.programs ?? [];
    for (const { name } of programs) {
      const state = seen.find((program) => program.name === name)?.state;
      if (state === undefined) return `${name} does not run`;
      if (state === UNFINISHED) return `the last change of ${name} failed`;
      if (!RUNNING.has(state)) return `${name} does not run (${state})`;
    }
  }
  return undefined;
}
