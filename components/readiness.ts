/** The proof that a deployment serves. */
import * as pulumi from "@pulumi/pulumi";
import type { TaskName } from "../config/task";
import type { ExpectedWorkers } from "../plan/types";
import type { UnitRun } from "./clusterHost";
import { DriverCommand, digestOf, type Repair } from "./driverCommand";

export interface ReadinessArgs {
  /** Base URL at which clients connect. */
  readonly endpoint: pulumi.Input<string>;
  /** Model that the trial request names. */
  readonly model: string;
  /** What the trial request asks for. */
  readonly task: TaskName;
  /** Dynamo namespace in which the workers register. */
  readonly namespace: string;
  /** How many workers must be registered, by role. */
  readonly expectedWorkers: ExpectedWorkers;
  /** Bound on the wait, seconds. Default: the driver's, 600. */
  readonly timeoutSeconds?: number;
  /** Sent with the trial request. Default: none. */
  readonly apiKey?: pulumi.Input<string>;
  /** SHA-256 of the certificate that the endpoint must show before the key is sent. Default: what the system trusts. */
  readonly fingerprint?: pulumi.Input<string>;
  /** Full names of the local clusters that it runs on. Default: none. */
  readonly localClusters?: readonly pulumi.Input<string>[];
  /** The SkyPilot clusters that it runs on, the one with the endpoint first. Default: none. */
  readonly sky?:
    | { readonly infra: readonly string[]; readonly clusters: readonly pulumi.Input<string>[] }
    | undefined;
  /** Log files by program, whose last lines tell why something did not become ready. */
  readonly logs: pulumi.Input<Readonly<Record<string, readonly string[]>>>;
  /** Everything that must be up, and after whose change readiness has to be proven anew. */
  readonly runs: readonly UnitRun[];
}

/**
 * Waits until every worker of the plan is registered and an answer with content (tokens, a vector) has come back through the
 * endpoint. Carried out again when any unit was changed or repaired, and not otherwise.
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

/** After something was lost, or an update that did not come to its end, readiness is proven anew. */
function repairOf(runs: readonly UnitRun[]): Repair | undefined {
  const lost = runs.flatMap(({ repair }) => repair ?? [])[0];
  if (lost !== undefined) return { reason: lost, isCause: false };
  const unproven = runs.flatMap((run) => run.unproven ?? [])[0];
  return unproven === undefined ? undefined : { reason: unproven, isCause: true };
}
