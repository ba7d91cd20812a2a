/** Which programs of a plan are started, changed and removed together. Pure functions, no resources. */
import type { ClusterPlan, ProgramPlan, ProgramRole } from "./types";

/** The programs of a unit that run on one node. */
export interface UnitNode {
  readonly rank: number;
  readonly programs: readonly ProgramPlan[];
}

/**
 * One service, one frontend, or one replica of a pool: programs that start and stop together. A replica over
 * several nodes is one unit with several nodes.
 */
export interface Unit {
  /** Name of its cluster in the plan. */
  readonly cluster: string;
  /** Unique in its cluster: `etcd`, `frontend-0`, `decode-1`. */
  readonly name: string;
  readonly role: ProgramRole;
  readonly replica: number;
  readonly nodes: readonly UnitNode[];
}

/** The units of a cluster, in the plan's order. A unit is named after its first rank's program. */
export function unitsOf(cluster: ClusterPlan): Unit[] {
  const members = new Map<string, PlacedProgram[]>();
  for (const node of cluster.nodes) {
    for (const program of node.programs) {
      const key = `${program.role}/${program.replica}`;
      members.set(key, [...(members.get(key) ?? []), { node: node.rank, program }]);
    }
  }
  return [...members.values()].flatMap((placed) => {
    const first = placed.toSorted((a, b) => a.program.rank - b.program.rank)[0]?.program;
    if (first === undefined) return [];
    const ranks = [...new Set(placed.map(({ node }) => node))].toSorted((a, b) => a - b);
    return {
      cluster: cluster.name,
      name: first.name,
      role: first.role,
      replica: first.replica,
      nodes: ranks.map((rank) => ({
        rank,
        programs: placed.filter(({ node }) => node === rank).map(({ program }) => program),
      })),
    };
  });
}

interface PlacedProgram {
  readonly node: number;
  readonly program: ProgramPlan;
}
