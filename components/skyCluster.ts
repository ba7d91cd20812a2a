/** A cluster of nodes that SkyPilot provisions. */
import * as pulumi from "@pulumi/pulumi";
import type { BroughtFiles } from "../lib/broughtFiles";
import { runtimeDigests } from "../lib/runtimeFiles";
import { stableJson } from "../lib/stableJson";
import type { ServedCertificate } from "../lib/tls/served";
import type { DeploymentConfig } from "../plan/config";
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
  /** What runs on its nodes. */
  readonly plan: ClusterPlan;
  /** What is asked of SkyPilot, and which engine the nodes are set up for. */
  readonly config: DeploymentConfig;
  /** The port that clients use; the endpoint, where the cluster has that, else any of its ports. */
  readonly port: number;
  /** Whether clients connect to this cluster, so that its port is opened when the configuration says so. */
  readonly hasEndpoint: boolean;
  /** Address of the control plane, where that is on another cluster. Default: rank 0 of this one. */
  readonly controlIp?: pulumi.Input<string>;
  /** Files of this machine that its nodes are given. Default: none. */
  readonly files?: BroughtFiles;
  /** Values for the variables that programs take from the node's secrets file, by name. Default: there are none. */
  readonly secrets?: Readonly<Record<string, pulumi.Input<string>>>;
  /** Certificate of the gateway, where that is on this cluster. Default: it speaks plain HTTP. */
  readonly certificate?: HostCertificate;
  /** Why the task must be launched again although nothing changed. Default: all is well. */
  readonly repair?: string | undefined;
}

/**
 * Nodes of one SkyPilot cluster, which runs one task: all programs of the plan, kept running by a supervisor on each node.
 *
 * It is two command resources. The *lease* comes first and does nothing but checks; deleting it takes the cluster down and waits
 * until it is gone. The *launch* depends on it. So whatever happens while nodes are provisioned, `destroy` finds the cluster.
 * Another infra, accelerator, number of nodes or image is another cluster; the old one goes first, unless `sky.deleteBeforeReplace`
 * is off and the new one has a name of its own. Anything else starts the task anew on the same nodes.
 */
export class SkyCluster extends pulumi.ComponentResource implements ClusterHost {
  /** Full name: project, stack, the plan's name and a random suffix. */
  readonly clusterName: pulumi.Output<string>;
  /** Address of rank 0, as SkyPilot tells it. */
  readonly headAddress: pulumi.Output<string>;
  readonly isLocal = false;
  readonly certificate: pulumi.Output<ServedCertificate> | undefined;
  readonly run: UnitRun;
  readonly #endpoint: pulumi.Output<string>;

  constructor(name: string, args: SkyClusterArgs, opts?: pulumi.ComponentResourceOptions) {
    // Inputs are what policies can see before anything is made.
    super("dynamo-sky:index:SkyCluster", name, clusterInventory(args.config, args.plan), opts);
    this.clusterName = pulumi.output(args.clusterName);
    const lease = new DriverCommand(
      `${name}-lease`,
      {
        apply: "sky lease",
        remove: "sky down",
        input: leaseInput(args),
        // Another name is another cluster too: without this, a renamed stack would forget the one that it pays for.
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
        // A replaced lease has taken the cluster down: it must be launched again with the same input.
        basis: lease.instance,
        repair: args.repair === undefined ? undefined : { reason: args.repair, isCause: true },
      },
      { parent: this, dependsOn: lease.resource },
    );
    // Addresses are no secrets, whatever else goes into a launch.
    const launched = pulumi.unsecret(launch.resource.stdout).apply(launchedOf);
    this.headAddress = launched.headAddress;
    this.#endpoint = launched.endpoint;
    this.certificate = servedBy(args.certificate, launched);
    this.run = { resources: [launch.resource], digest: launch.digest, repair: args.repair };
    this.registerOutputs({ clusterName: this.clusterName, headAddress: this.headAddress });
  }

  /** The task carries all units: each is up when the task is. */
  runUnit(_name: string, _unit: Unit, _opts: pulumi.CustomResourceOptions): UnitRun {
    return this.run;
  }

  url(_rank: number, _port: number): pulumi.Output<string> {
    return this.#endpoint;
  }

  /** The command that shows them: files on the nodes are not to be read from here. */
  logs(unit: Unit): pulumi.Output<Record<string, string[]>> {
    return this.clusterName.apply((cluster) =>
      Object.fromEntries(
        unit.nodes.flatMap(({ programs }) => programs.map(({ name }) => [name, [`sky logs ${cluster}`]])),
      ),
    );
  }
}

/** What makes it another cluster when it changes: a short text, known before anything is made. */
export function clusterIdentity(args: Pick<SkyClusterArgs, "plan" | "config">): string {
  return stableJson(taskIdentity({ cluster: args.plan, config: args.config }));
}

/** What the driver printed: the last line of its standard output. */
function launchedOf(stdout: string): SkyLaunched {
  const line = stdout.trim().split("\n").at(-1) ?? "";
  return JSON.parse(line) as SkyLaunched;
}

/** What clients see: of a generated certificate the launch tells it, which knows the address that it is for. */
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

/** The secrets that programs of the plan ask for; undefined if they ask for none. */
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

/** Secrets go through shells and environments on their way to a node. */
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

/** What the launch has to know of TLS: where the certificate is to be made, from what. */
function tlsOf(certificate: HostCertificate) {
  return certificate.kind === "own" ? {} : { seed: certificate.seed, names: certificate.names };
}
