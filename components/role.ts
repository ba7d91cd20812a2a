/** Base class of the components that run units. */
import * as pulumi from "@pulumi/pulumi";
import type { Unit } from "../plan/units";
import type { PlacedUnit, UnitRun } from "./clusterHost";

/** Arguments of a component that runs units: {@link Workers}, {@link Frontend}, {@link ControlPlane}. */
export interface RoleArgs {
  /** The units to run, and their clusters. */
  readonly units: readonly PlacedUnit[];
  /** What must be up before the first unit starts. Default: only the cluster. */
  readonly after?: readonly UnitRun[];
}

/** Runs units in parallel; those of a role that do not run yet, or no more, before those that do. */
export abstract class Role extends pulumi.ComponentResource {
  /** The units in the resource graph, for dependants. */
  readonly runs: readonly UnitRun[];

  protected constructor(
    type: string,
    name: string,
    args: RoleArgs,
    opts: pulumi.ComponentResourceOptions | undefined,
    /** Name of a unit within this component. */
    called: (unit: Unit) => string,
  ) {
    super(`dynamo-sky:index:${type}`, name, {}, opts);
    const after = (args.after ?? []).flatMap((run) => run.resources);
    const runs = new Map<PlacedUnit, UnitRun>();
    const run = (placed: PlacedUnit, more: readonly UnitRun[]) => {
      const dependsOn = [...after, ...more.flatMap(({ resources }) => resources)];
      const { unit, host } = placed;
      const made = host.runUnit(`${name}-${called(unit)}`, unit, { parent: this, dependsOn });
      runs.set(placed, made);
      return made;
    };
    for (const role of new Set(args.units.map(({ unit }) => unit.role))) {
      // What does not serve goes first: as long as it does not, none that serves may be changed
      // (`lib/rollout.ts`). By the order of resources, since Pulumi may run fewer commands at a time than
      // wait for each other.
      const own = args.units.filter(({ unit }) => unit.role === role);
      const broken = own.filter(({ unit, host }) => host.isBroken(unit)).map((placed) => run(placed, []));
      for (const placed of own) if (!runs.has(placed)) run(placed, broken);
    }
    this.runs = args.units.flatMap((placed) => runs.get(placed) ?? []);
  }
}

/** Name of a replica within its role: its number. */
export function byReplica(unit: Unit): string {
  return String(unit.replica);
}
