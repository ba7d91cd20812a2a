/** The interface between role components and the cluster that runs their programs. */
import type * as pulumi from "@pulumi/pulumi";
import type { ServedCertificate } from "../lib/tls/served";
import type { Unit } from "../plan/units";

/** A unit or cluster in the resource graph. */
export interface UnitRun {
  /** It is up when these resources are. */
  readonly resources: readonly pulumi.Resource[];
  /** Changes whenever it is restarted or changed. */
  readonly digest: pulumi.Output<string>;
  /** What is missing of it, and when that was observed; undefined if nothing is. */
  readonly repair?: string | undefined;
  /** Set if the deployment has not been proven to serve yet, though nothing is missing. */
  readonly unproven?: string | undefined;
}

/**
 * A cluster that runs units, each a command resource of its own, so that they change independently.
 */
export interface ClusterHost {
  /** Full name in SkyPilot and the driver. */
  readonly clusterName: pulumi.Output<string>;
  /** Whether it is on this machine. */
  readonly isLocal: boolean;
  /** The cluster itself, without its units. */
  readonly run: UnitRun;
  /** Address of rank 0. */
  readonly headAddress: pulumi.Output<string>;
  /**
   * Whether the unit does not run as it should, seen before anything was changed; false if that was not
   * looked at.
   */
  isBroken(unit: Unit): boolean;
  /**
   * Makes the unit run.
   *
   * @param name Name of the resource, if one is created.
   * @param opts Parent and dependencies.
   */
  runUnit(name: string, unit: Unit, opts: pulumi.CustomResourceOptions): UnitRun;
  /**
   * Public part of the gateway's certificate; undefined with plain HTTP, or if the gateway is not on this
   * cluster.
   */
  readonly certificate: pulumi.Output<ServedCertificate> | undefined;
  /** URL of a node's port for clients. */
  url(rank: number, port: number): pulumi.Output<string>;
  /** Log files of a unit, or the command that prints them, by program. */
  logs(unit: Unit): pulumi.Output<Record<string, string[]>>;
}

/** A unit and the cluster that runs it. */
export interface PlacedUnit {
  readonly unit: Unit;
  readonly host: ClusterHost;
}
