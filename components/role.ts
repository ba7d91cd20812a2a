/** What the components that run units have in common. */
import * as pulumi from "@pulumi/pulumi";
import type { Unit } from "../plan/units";
import type { PlacedUnit, UnitRun } from "./clusterHost";

export interface RoleArgs {
  /** The units to run, and where. */
  readonly units: readonly PlacedUnit[];
  /** What must be up before the first of them starts. Default: only the cluster itself. */
  readonly after?: readonly UnitRun[];
}

/** Runs units: one beside the other, each on its own, so that a change of one touches no other. */
export abstract class Role extends pulumi.ComponentResource {
  /** The units' traces in the resource graph, for what depends on them. */
  readonly runs: readonly UnitRun[];

  protected constructor(
    type: string,
    name: string,
    args: RoleArgs,
    opts: pulumi.ComponentResourceOptions | undefined,
    /** What a unit is called within this component. */
    called: (unit: Unit) => string,
  ) {
    super(`dynamo-sky:index:${type}`, name, {}, opts);
    const dependsOn = (args.after ?? []).flatMap((run) => run.resources);
    this.runs = args.units.map(({ unit, host }) =>
      host.runUnit(`${name}-${called(unit)}`, unit, { parent: this, dependsOn }),
    );
  }
}

/** The name of a replica within its role: its number. */
export function byReplica(unit: Unit): string {
  return String(unit.replica);
}
