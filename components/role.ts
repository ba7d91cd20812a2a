/** Base class of the components that run units. */
import * as pulumi from "@pulumi/pulumi";
import type { Unit } from "../plan/units";
import type { PlacedUnit, UnitRun } from "./clusterHost";

export interface RoleArgs {
  /** The units to run, and their clusters. */
  readonly units: readonly PlacedUnit[];
  /** What must be up before the first unit starts. Default: only the cluster. */
  readonly after?: readonly UnitRun[];
}

/** Runs units in parallel and independently, so that a change of one does not affect others. */
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
    const dependsOn = (args.after ?? []).flatMap((run) => run.resources);
    this.runs = args.units.map(({ unit, host }) =>
      host.runUnit(`${name}-${called(unit)}`, unit, { parent: this, dependsOn }),
    );
  }
}

/** Name of a replica within its role: its number. */
export function byReplica(unit: Unit): string {
  return String(unit.replica);
}
