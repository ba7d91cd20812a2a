/** A cluster of nodes provisioned by SkyPilot. */

import * as pulumi from "@pulumi/pulumi";
import type { DeploymentConfig } from "../config/deployment";
import { type BroughtFiles, broughtTo, withDigests } from "../lib/broughtFiles";
import { longestStop } from "../lib/nodeUnits";
import { inOneLine } from "../lib/oneLine";
import { runtimeDigests } from "../lib/runtimeFiles";
import { stableJson } from "../lib/stableJson";
import type { ServedCertificate } from "../lib/tls/served";
import { clusterInventory } from "../plan/inventory";
import { TLS_BUNDLE } from "../plan/programs/gateway";
import type { RolloutPlan } from "../plan/rollout";
import { type ClusterPlan, secretsOfProgram, WORKER_ROLES } from "../plan/types";
import { type Unit, unitsOf } from "../plan/units";
import { fetchedModels } from "../sky/setup";
import type { SkyLaunched, SkyLaunchSpec, SkyNodesResult } from "../sky/spec";
import { launchedSecretNames, launchedTask, type TaskInput, taskIdentity } from "../sky/task";
import type { ClusterHost, UnitRun } from "./clusterHost";
import { DriverCommand, digestOf } from "./driverCommand";
import type { HostCertificate } from "./gatewayCertificate";
import type { SkyRepairs } from "./skyRepair";

/** Arguments of {@link SkyCluster}. */
export interface SkyClusterArgs {
  /** Full name of the SkyPilot cluster. */
  readonly clusterName: pulumi.Input<string>;
  /** Programs of its nodes. */
  readonly plan: ClusterPlan;
  /** Input of SkyPilot's resources, and the engine of the nodes. */
  readonly config: DeploymentConfig;
  /** The port for clients: the endpoint's, if it is on this cluster, else any of its ports. */
  readonly port: number;
  /** Whether clients connect to this cluster, so that its port may be opened. */
  readonly hasEndpoint: boolean;
  /** Address of the control plane, if it is on another cluster. Default: rank 0 of this one. */
  readonly controlIp?: pulumi.Input<string>;
  /** Local files for its nodes. Default: none. */
  readonly files?: BroughtFiles;
  /** Values of variables from the node's secrets file, by name. Default: none. */
  readonly secrets?: Readonly<Record<string, pulumi.Input<string>>>;
  /** Certificate of the gateway, if it is on this cluster. Default: plain HTTP. */
  readonly certificate?: HostCertificate;
  /**
   * How units of the deployment are changed, with the full names of its clusters; for the cluster with the
   * frontends, which keeps it. Default: each at once.
   */
  readonly rollout?: pulumi.Input<RolloutPlan>;
  /** Full name of the cluster with the frontends. Default: this one. */
  readonly home?: pulumi.Input<string>;
  /** What must be launched or started again although nothing changed. Default: nothing. */
  readonly repairs?: SkyRepairs;
}

/**
 * Nodes of one SkyPilot cluster. Its one task starts the runtime on each; what that runs is given to it
 * afterwards by ssh, unit by unit.
 *
 * It consists of three command resources, and one of each unit. The *lease* comes first and only runs
 * checks; deleting it tears the cluster down and waits until it is gone. The *launch* depends on it. So
 * `destroy` finds the cluster even if provisioning failed. The *nodes* give all nodes their secrets, and take
 * off what the deployment no longer has. A change of infra, accelerator, number of nodes or image replaces
 * the cluster; the old one is deleted first, unless `sky.deleteBeforeReplace` is off and the new one has
 * another name. A change of the runtime, the set-up or the mounts restarts the task on the same nodes; any
 * other only the programs that it concerns.
 */
export class SkyCluster extends pulumi.ComponentResource implements ClusterHost {
  /** Full name: project, stack, the plan's name and a random suffix. */
  readonly clusterName: pulumi.Output<string>;
  /** Address of rank 0, from SkyPilot. */
  readonly headAddress: pulumi.Output<string>;
  readonly isLocal = false;
  readonly certificate: pulumi.Output<ServedCertificate> | undefined;
  readonly run: UnitRun;
  readonly #endpoint: pulumi.Output<string>;
  readonly #args: SkyClusterArgs;
  readonly #lease: DriverCommand;
  readonly #nodes: DriverCommand;
  /** Which machines: others have neither secrets nor units. The same, launched again, have both. */
  readonly #machines: pulumi.Output<string>;

  constructor(name: string, args: SkyClusterArgs, opts?: pulumi.ComponentResourceOptions) {
    // Inputs are visible to policies before anything is created.
    super("dynamo-sky:index:SkyCluster", name, clusterInventory(args.config, args.plan), opts);
    this.#args = args;
    this.clusterName = pulumi.output(args.clusterName);
    this.#lease = this.#leased(name);
    const launch = this.#launched(name);
    // Addresses are not secret, even if the launch's input is.
    const launched = pulumi.unsecret(launch.resource.stdout).apply((text) => resultOf<SkyLaunched>(text));
    this.headAddress = launched.headAddress;
    this.#endpoint = launched.endpoint;
    this.#machines = pulumi.all([launched.clusterHash, this.#lease.instance]).apply(digestOf);
    const { certificate } = args;
    this.#nodes = this.#given(name, launch, launched);
    this.certificate = servedBy(certificate, this.#nodes);
    this.run = {
      resources: [launch.resource, this.#nodes.resource],
      digest: this.#nodes.digest,
      repair: args.repairs?.launch,
    };
    this.registerOutputs({ clusterName: this.clusterName, headAddress: this.headAddress });
  }

  #leased(name: string): DriverCommand {
    const args = this.#args;
    return new DriverCommand(
      `${name}-lease`,
      {
        apply: "sky lease",
        remove: "sky down",
        input: leaseInput(args),
        // A changed name replaces the cluster too: otherwise the cluster of a renamed stack would be
        // forgotten and keep costing money.
        identity: [clusterIdentity(args), args.clusterName],
        createFirst: !args.config.sky.deleteBeforeReplace,
      },
      { parent: this },
    );
  }

  #launched(name: string): DriverCommand {
    const args = this.#args;
    const secrets = valuesOf(args, launchedSecretNames({ cluster: args.plan, config: args.config }));
    return new DriverCommand(
      `${name}-launch`,
      {
        apply: "sky launch",
        input: launchInput(args, secrets),
        secretInput: secrets !== undefined,
        // Replacing the lease tears the cluster down: it must be launched again with the same input.
        basis: this.#lease.instance,
        repair:
          args.repairs?.launch === undefined ? undefined : { reason: args.repairs.launch, isCause: true },
      },
      { parent: this, dependsOn: this.#lease.resource },
    );
  }

  #given(name: string, launch: DriverCommand, launched: pulumi.Output<SkyLaunched>): DriverCommand {
    const args = this.#args;
    const repair = args.repairs?.launch;
    const input = nodesInput(args, launched);
    return new DriverCommand(
      `${name}-nodes`,
      {
        apply: "sky nodes",
        input,
        secretInput: input.secrets !== undefined || input.tls !== undefined,
        basis: this.#machines,
        repair: repair === undefined ? undefined : { reason: repair, isCause: false },
      },
      { parent: this, dependsOn: launch.resource },
    );
  }

  isBroken(unit: Unit): boolean {
    return this.#args.repairs?.units.has(unit.name) ?? false;
  }

  runUnit(name: string, unit: Unit, opts: pulumi.CustomResourceOptions): UnitRun {
    const { clusterName, config, files = {}, home, repairs } = this.#args;
    const reason = repairs?.launch ?? repairs?.units.get(unit.name);
    const models = modelsOf(unit, config);
    const brought = broughtTo(unit, files);
    const command = new DriverCommand(
      name,
      {
        apply: "sky apply",
        remove: "sky remove",
        input: {
          cluster: clusterName,
          infra: [...config.sky.infra],
          unit: unit.name,
          ...(isReplica(unit) ? { home: home ?? clusterName } : {}),
          nodes: unit.nodes.map(({ rank, programs }) => ({
            rank,
            programs: programs.map((program) => withDigests(program, brought)),
          })),
          ...(Object.keys(brought).length === 0 ? {} : { files: brought }),
          timeoutSeconds: config.timeouts.readySeconds,
          ...(models.length === 0
            ? {}
            : { weights: { models, seconds: config.timeouts.provisionMinutes * 60 } }),
        },
        basis: this.#machines,
        repair: reason === undefined ? undefined : { reason, isCause: repairs?.launch === undefined },
      },
      // The cluster goes with all that runs on it.
      pulumi.mergeOptions(opts, {
        dependsOn: this.#nodes.resource,
        deletedWith: this.#lease.resource,
      }),
    );
    return { resources: [command.resource], digest: command.digest, repair: reason };
  }

  url(_rank: number, _port: number): pulumi.Output<string> {
    return this.#endpoint;
  }

  /** The command that prints them: files on the nodes cannot be read from here. */
  logs(unit: Unit): pulumi.Output<Record<string, string[]>> {
    return this.clusterName.apply((cluster) =>
      Object.fromEntries(
        unit.nodes.flatMap(({ programs }) => programs.map(({ name }) => [name, [`sky logs ${cluster}`]])),
      ),
    );
  }
}

/** A short digest of the values whose change replaces the cluster, known before anything is created. */
export function clusterIdentity(args: Pick<SkyClusterArgs, "plan" | "config">): string {
  return stableJson(taskIdentity({ cluster: args.plan, config: args.config }));
}

/** Whether there may be others like it, so that they are changed one after the other. */
function isReplica({ role }: Unit): boolean {
  return role === "frontend" || WORKER_ROLES.some((worker) => worker === role);
}

/** What the nodes of a unit download. */
function modelsOf(unit: Unit, config: DeploymentConfig): string[] {
  return fetchedModels(
    config,
    config.pools.filter(({ role }) => role === unit.role),
  );
}

/** The driver's result: the last line of its standard output. */
function resultOf<T>(stdout: string): T {
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
}

/**
 * The public part of the certificate: a generated one is issued when the nodes are known, for their address.
 */
function servedBy(
  certificate: HostCertificate | undefined,
  nodes: DriverCommand,
): pulumi.Output<ServedCertificate> | undefined {
  if (certificate === undefined) return undefined;
  if (certificate.kind === "own") return pulumi.output(certificate.served);
  return pulumi.unsecret(nodes.resource.stdout).apply((text) => {
    const { certificate: served } = resultOf<SkyNodesResult>(text);
    if (served === undefined) throw new RangeError("the nodes told no certificate");
    return served;
  });
}

function taskInput(args: SkyClusterArgs, controlIp?: string): TaskInput {
  return {
    cluster: args.plan,
    config: args.config,
    controlIp,
    endpointPort: args.hasEndpoint ? args.port : undefined,
  };
}

/** The values of some secrets; undefined if there are none. */
function valuesOf(
  { certificate, secrets = {} }: SkyClusterArgs,
  wanted: readonly string[],
): Record<string, pulumi.Input<string>> | undefined {
  const own = certificate?.kind === "own" ? { [TLS_BUNDLE]: certificate.bundle.apply(inOneLine) } : {};
  const found = Object.entries({ ...secrets, ...own }).filter(([name]) => wanted.includes(name));
  return found.length === 0 ? undefined : Object.fromEntries(found);
}

function leaseInput({ clusterName, config, hasEndpoint, plan }: SkyClusterArgs) {
  // Of what serves others the requests come to their end; with the endpoint all ends.
  const drain = hasEndpoint ? {} : { drainSeconds: longestStop(plan.nodes) };
  return { cluster: clusterName, infra: config.sky.infra, ...drain };
}

function launchInput(args: SkyClusterArgs, secrets: Record<string, pulumi.Input<string>> | undefined) {
  const { clusterName, config, controlIp, port, certificate } = args;
  const { retryUntilUp, infra } = config.sky;
  const fixed: Omit<SkyLaunchSpec, "cluster" | "task" | "secrets"> = {
    infra: [...infra],
    retryUntilUp,
    port,
    runtime: runtimeDigests(),
    ...(certificate === undefined ? {} : { tls: true }),
    timeoutSeconds: config.timeouts.provisionMinutes * 60,
  };
  return {
    ...fixed,
    cluster: clusterName,
    task: pulumi.output(controlIp).apply((address) => launchedTask(taskInput(args, address))),
    ...(secrets === undefined ? {} : { secrets }),
  };
}

function nodesInput(args: SkyClusterArgs, launched: pulumi.Output<SkyLaunched>) {
  const { clusterName, config, plan, certificate } = args;
  const nodes = plan.nodes.map(({ rank, programs }) => ({
    rank,
    secrets: [...new Set(programs.flatMap(secretsOfProgram))].toSorted(),
  }));
  const secrets = valuesOf(
    args,
    nodes.flatMap(({ secrets }) => secrets),
  );
  return {
    cluster: clusterName,
    infra: [...config.sky.infra],
    nodes,
    units: unitsOf(plan).map(({ name }) => name),
    files: Object.keys(config.files).toSorted(),
    endpoint: launched.endpoint,
    headAddress: launched.headAddress,
    ...(args.hasEndpoint ? { rollout: args.rollout ?? null } : {}),
    ...(secrets === undefined ? {} : { secrets }),
    ...(certificate?.kind === "generated"
      ? { tls: { seed: certificate.seed, names: certificate.names } }
      : {}),
  };
}
