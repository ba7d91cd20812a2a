/** A cluster of nodes provisioned by SkyPilot. */

import * as pulumi from "@pulumi/pulumi";
import type { DeploymentConfig } from "../config/deployment";
import type { BroughtFiles } from "../lib/broughtFiles";
import { runtimeDigests } from "../lib/runtimeFiles";
import { stableJson } from "../lib/stableJson";
import type { ServedCertificate } from "../lib/tls/served";
import { clusterInventory } from "../plan/inventory";
import { TLS_BUNDLE } from "../plan/programs/gateway";
import type { ClusterPlan } from "../plan/types";
import type { Unit } from "../plan/units";
import type { SkyLaunched, SkyLaunchSpec } from "../sky/spec";
import { skyTask, type TaskInput, taskIdentity, taskSecretNames } from "../sky/task";
import type { ClusterHost, UnitRun } from "./clusterHost";
import { DriverCommand } from "./driverCommand";
import type { HostCertificate } from "./gatewayCertificate";

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
  /** Why the task must be launched again although nothing changed. Default: no repair. */
  readonly repair?: string | undefined;
}

/**
 * Nodes of one SkyPilot cluster, which runs one task: all programs of the plan, kept running by a supervisor
 * on each node.
 *
 * It consists of two command resources. The *lease* comes first and only runs checks; deleting it tears the
 * cluster down and waits until it is gone. The *launch* depends on it. So `destroy` finds the cluster even if
 * provisioning failed. A change of infra, accelerator, number of nodes or image replaces the cluster; the old
 * one is deleted first, unless `sky.deleteBeforeReplace` is off and the new one has another name. Any other
 * change restarts the task on the same nodes.
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

  constructor(name: string, args: SkyClusterArgs, opts?: pulumi.ComponentResourceOptions) {
    // Inputs are visible to policies before anything is created.
    super("dynamo-sky:index:SkyCluster", name, clusterInventory(args.config, args.plan), opts);
    this.clusterName = pulumi.output(args.clusterName);
    const lease = new DriverCommand(
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
    const secrets = secretsOf(args);
    const launch = new DriverCommand(
      `${name}-launch`,
      {
        apply: "sky launch",
        input: launchInput(args, secrets),
        secretInput: secrets !== undefined,
        // Replacing the lease tears the cluster down: it must be launched again with the same input.
        basis: lease.instance,
        repair: args.repair === undefined ? undefined : { reason: args.repair, isCause: true },
      },
      { parent: this, dependsOn: lease.resource },
    );
    // Addresses are not secret, even if the launch's input is.
    const launched = pulumi.unsecret(launch.resource.stdout).apply(launchedOf);
    this.headAddress = launched.headAddress;
    this.#endpoint = launched.endpoint;
    this.certificate = servedBy(args.certificate, launched);
    this.run = { resources: [launch.resource], digest: launch.digest, repair: args.repair };
    this.registerOutputs({ clusterName: this.clusterName, headAddress: this.headAddress });
  }

  /** The task runs all units: each is up when the task is. */
  isBroken(): boolean {
    return false;
  }

  runUnit(_name: string, _unit: Unit, _opts: pulumi.CustomResourceOptions): UnitRun {
    return this.run;
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

/** The driver's result: the last line of its standard output. */
function launchedOf(stdout: string): SkyLaunched {
  const line = stdout.trim().split("\n").at(-1) ?? "";
  return JSON.parse(line) as SkyLaunched;
}

/**
 * The public part of the certificate: a generated one comes with the launch's result, which knows its
 * address.
 */
function servedBy(
  certificate: HostCertificate | undefined,
  launched: pulumi.Output<SkyLaunched>,
): pulumi.Output<ServedCertificate> | undefined {
  if (certificate === undefined) return undefined;
  if (certificate.kind === "own") return pulumi.output(certificate.served);
  return launched.apply(({ certificate: served }) => {
    if (served === undefined) throw new RangeError("the launch told no certificate");
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

/** The secrets required by programs of the plan; undefined if there are none. */
function secretsOf({
  plan,
  config,
  certificate,
  secrets = {},
}: SkyClusterArgs): Record<string, pulumi.Input<string>> | undefined {
  const wanted = taskSecretNames({ cluster: plan, config });
  const own = certificate?.kind === "own" ? { [TLS_BUNDLE]: inOneLine(certificate.bundle) } : {};
  const found = Object.entries({ ...secrets, ...own }).filter(([name]) => wanted.includes(name));
  return found.length === 0 ? undefined : Object.fromEntries(found);
}

/** Secrets pass through shells and environments on their way to a node. */
function inOneLine(text: pulumi.Output<string>): pulumi.Output<string> {
  return text.apply((value) => Buffer.from(value).toString("base64"));
}

function leaseInput({ clusterName, config }: SkyClusterArgs) {
  return { cluster: clusterName, infra: config.sky.infra };
}

function launchInput(args: SkyClusterArgs, secrets: Record<string, pulumi.Input<string>> | undefined) {
  const { clusterName, config, controlIp, files = {}, port, certificate } = args;
  const { retryUntilUp, infra } = config.sky;
  const fixed: Omit<SkyLaunchSpec, "cluster" | "task" | "secrets" | "tls"> = {
    infra: [...infra],
    retryUntilUp,
    port,
    runtime: runtimeDigests(),
    ...(Object.keys(files).length === 0 ? {} : { files }),
    timeoutSeconds: config.timeouts.provisionMinutes * 60,
  };
  return {
    ...fixed,
    cluster: clusterName,
    task: pulumi.output(controlIp).apply((address) => skyTask(taskInput(args, address))),
    ...(secrets === undefined ? {} : { secrets }),
    ...(certificate === undefined ? {} : { tls: tlsOf(certificate) }),
  };
}

/** TLS input of the launch: how to issue the certificate. */
function tlsOf(certificate: HostCertificate) {
  return certificate.kind === "own" ? {} : { seed: certificate.seed, names: certificate.names };
}
