/** What the role components know of the place where programs run: nothing but this. */
import type * as pulumi from "@pulumi/pulumi";
import type { ServedCertificate } from "../lib/tls/served";
import type { Unit } from "../plan/units";

/** The trace that a unit, or a cluster, leaves in the resource graph. */
export interface UnitRun {
  /** It is up when these are. */
  readonly resources: readonly pulumi.Resource[];
  /** Changes whenever it is started anew or changed. */
  readonly digest: pulumi.Output<string>;
  /** What is lost of it, when something is, and when that was seen. */
  readonly repair?: string | undefined;
  /** That the deployment has yet to prove that it serves, though nothing is lost. */
  readonly unproven?: string | undefined;
}

/**
 * A cluster that runs units. `LocalCluster` makes a command resource for each, so that they change one by one;
 * `SkyCluster` carries all of its plan in one task, so there a unit is up when the task is.
 */
export interface ClusterHost {
  /** Full name, as SkyPilot and the driver know it. */
  readonly clusterName: pulumi.Output<string>;
  /** Whether it is on this machine. */
  readonly isLocal: boolean;
  /** The cluster itself, without its units. */
  readonly run: UnitRun;
  /** Address of rank 0. */
  readonly headAddress: pulumi.Output<string>;
  /**
   * Sees to it that the unit runs.
   *
   * @param name Name for the resource, if one is made.
   * @param opts Parent, and what must be up before.
   */
  runUnit(name: string, unit: Unit, opts: pulumi.CustomResourceOptions): UnitRun;
  /** What clients recognise the gateway by; undefined where it speaks plain HTTP, or is not here. */
  readonly certificate: pulumi.Output<ServedCertificate> | undefined;
  /** URL at which clients reach a port of a node. */
  url(rank: number, port: number): pulumi.Output<string>;
  /** Log files of a unit, or the command that shows them: by program. */
  logs(unit: Unit): pulumi.Output<Record<string, string[]>>;
}

/** A unit and the cluster that runs it. */
export interface PlacedUnit {
  readonly unit: Unit;
  readonly host: ClusterHost;
}
