/** Verifies that a deployment serves. */
import * as pulumi from "@pulumi/pulumi";
import type { DeploymentConfig } from "../config/deployment";
import type { TaskName } from "../config/task";
import type { ExpectedWorkers } from "../plan/types";
import type { UnitRun } from "./clusterHost";
import { DriverCommand, digestOf, type Repair } from "./driverCommand";

/** Arguments of {@link Readiness}. */
export interface ReadinessArgs {
  /** Base URL for clients. */
  readonly endpoint: pulumi.Input<string>;
  /** Model of the test request. */
  readonly model: string;
  /** Task of the test request. */
  readonly task: TaskName;
  /** Dynamo namespace of the workers. */
  readonly namespace: string;
  /** Number of workers that must be registered, by role. */
  readonly expectedWorkers: ExpectedWorkers;
  /**
   * Seconds after which more than the expected workers are accepted, as they go when the update ends.
   * Default: never.
   */
  readonly surplusSeconds?: number;
  /** Time limit, seconds. Default: the driver's, 600. */
  readonly timeoutSeconds?: number;
  /** Sent with the test request. Default: none. */
  readonly apiKey?: pulumi.Input<string>;
  /**
   * SHA-256 fingerprint of the endpoint's certificate, verified before the key is sent. Default: the system's
   * trust store.
   */
  readonly fingerprint?: pulumi.Input<string>;
  /** Full names of its local clusters. Default: none. */
  readonly localClusters?: readonly pulumi.Input<string>[];
  /** Its SkyPilot clusters, the one with the endpoint first. Default: none. */
  readonly sky?:
    | { readonly infra: readonly string[]; readonly clusters: readonly pulumi.Input<string>[] }
    | undefined;
  /** Log files by program; their last lines are printed if something does not become ready. */
  readonly logs: pulumi.Input<Readonly<Record<string, readonly string[]>>>;
  /** Everything that must be up; a change of any makes the check run again. */
  readonly runs: readonly UnitRun[];
}

/**
 * Waits until every planned worker is registered and a test request through the endpoint returns content
 * (tokens, a vector). Runs again only if a unit was changed or repaired.
 */
export class Readiness extends pulumi.ComponentResource {
  /** The endpoint, known to serve. */
  readonly endpoint: pulumi.Output<string>;

  constructor(name: string, args: ReadinessArgs, opts?: pulumi.ComponentResourceOptions) {
    super("dynamo-sky:index:Readiness", name, {}, opts);
    const command = new DriverCommand(
      `${name}-check`,
      {
        apply: "ready",
        input: {
          endpoint: args.endpoint,
          model: args.model,
          task: args.task,
          namespace: args.namespace,
          expectedWorkers: { ...args.expectedWorkers },
          logs: args.logs,
          localClusters: args.localClusters ?? [],
          ...(args.sky === undefined ? {} : { sky: args.sky }),
          ...(args.surplusSeconds === undefined ? {} : { surplusSeconds: args.surplusSeconds }),
          ...(args.timeoutSeconds === undefined ? {} : { timeoutSeconds: args.timeoutSeconds }),
          ...(args.fingerprint === undefined ? {} : { fingerprint: args.fingerprint }),
          ...(args.apiKey === undefined ? {} : { apiKey: args.apiKey }),
        },
        secretInput: args.apiKey !== undefined,
        basis: pulumi.all(args.runs.map((run) => run.digest)).apply(digestOf),
        repair: repairOf(args.runs),
      },
      { parent: this, dependsOn: args.runs.flatMap((run) => run.resources) },
    );
    this.endpoint = pulumi.all([args.endpoint, command.instance]).apply(([endpoint]) => endpoint);
    this.registerOutputs({ endpoint: this.endpoint });
  }
}

/** What frontends take to see the end of a lease. Unit: seconds. */
const LEASE_END_SECONDS = 5;

/** After the loss of a worker, until no frontend lists it. Unit: seconds. */
export function untilUnlisted({ controlPlane }: Pick<DeploymentConfig, "controlPlane">): number {
  return controlPlane.leaseTtlSeconds + LEASE_END_SECONDS;
}

/** Runs the check again after a loss or an unfinished update. */
function repairOf(runs: readonly UnitRun[]): Repair | undefined {
  const lost = runs.flatMap(({ repair }) => repair ?? [])[0];
  if (lost !== undefined) return { reason: lost, isCause: false };
  const unproven = runs.flatMap((run) => run.unproven ?? [])[0];
  return unproven === undefined ? undefined : { reason: unproven, isCause: true };
}
