/**
 * Finds what should run and does not, and must be set up again. Pure functions.
 *
 * A reason includes the time of the observation: Pulumi compares it with the stored reason of the last
 * repair, so a second, otherwise equal loss would not be repaired.
 */
import { type ObservedNode, UNFINISHED } from "../lib/observedNode";
import type { ClusterPlan } from "../plan/types";
import { unitsOf } from "../plan/units";
import { SUFFIX_LENGTH } from "./names";
import type { Observation, ObservedCluster } from "./observation";

/** What is broken in a cluster. */
export interface LocalRepairs {
  /** Why the nodes must be set up again, and with them all units. */
  readonly lease?: string;
  /** Why units must be started again, by unit name. */
  readonly units: ReadonlyMap<string, string>;
  /** Why the deployment must prove again that it serves, though nothing of the cluster is broken. */
  readonly readiness?: string;
}

const NOTHING: ObservedCluster = { nodes: [], unproven: false };

/** Supervisor's states of a program that runs or starts. */
const RUNNING = new Set(["RUNNING", "STARTING"]);

/**
 * Compares a cluster's plan with its observed state.
 *
 * @param base The cluster's name without its random suffix, which is unknown while resources are declared. If
 * several clusters have it, which can only happen after a lost state, the healthiest is used.
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
  const units = unitRepairs(plan, nodes, at);
  return {
    ...(lost === undefined ? {} : { lease: `node ${lost.rank} does not run, seen ${at}` }),
    units,
    ...(unproven ? { readiness: `not ready at the end of the last update, seen ${at}` } : {}),
  };
}

/** Why units must be started again, by unit name. */
export function unitRepairs(
  plan: ClusterPlan,
  nodes: readonly ObservedNode[],
  at: string,
): ReadonlyMap<string, string> {
  return new Map(
    unitsOf(plan).flatMap((unit) => {
      const broken = firstBroken(unit, nodes);
      return broken === undefined ? [] : [[unit.name, `${broken}, seen ${at}`] as const];
    }),
  );
}

/** What should run on some nodes. */
interface Placed {
  readonly nodes: readonly {
    readonly rank: number;
    readonly programs: readonly { readonly name: string }[];
  }[];
}

/** Describes the first program that does not run; undefined if all do. */
export function firstBroken(placed: Placed, nodes: readonly ObservedNode[]): string | undefined {
  for (const { rank, programs } of placed.nodes) {
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
