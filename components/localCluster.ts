/** A cluster of nodes on this machine. */
import * as pulumi from "@pulumi/pulumi";
import { type BroughtFiles, broughtTo, withDigests } from "../lib/broughtFiles";
import { stableJson } from "../lib/stableJson";
import type { ServedCertificate } from "../lib/tls/served";
import { programLog } from "../plan/node/paths";
import { portSetting } from "../plan/ports";
import { TLS_BUNDLE } from "../plan/programs/gateway";
import type { RolloutPlan } from "../plan/rollout";
import { type ClusterPlan, type NodePlan, type ProgramRole, secretsOfProgram } from "../plan/types";
import { type Unit, unitsOf } from "../plan/units";
import type { ClusterHost, UnitRun } from "./clusterHost";
import { DriverCommand } from "./driverCommand";
import type { HostCertificate } from "./gatewayCertificate";
import type { LocalRepairs } from "./repair";

/** Arguments of {@link LocalCluster}. */
export interface LocalClusterArgs {
  /** Full name, unique on this machine; also the name of the cluster's directory. */
  readonly clusterName: pulumi.Input<string>;
  /** Programs of its nodes. */
  readonly plan: ClusterPlan;
  /** A loopback address for each node, by rank. */
  readonly addresses: readonly string[];
  /** Address of the control plane, if it is in another cluster. Default: rank 0 of this one. */
  readonly controlAddress?: string;
  /** Model whose tokenizer must be in the machine's cache. Default: not checked. */
  readonly model?: string;
  /** How units of the deployment are changed, with the full names of its clusters. Default: each at once. */
  readonly rollout?: pulumi.Input<RolloutPlan>;
  /** Local files for its programs. Default: none. */
  readonly files?: BroughtFiles;
  /** Values of variables from the node's secrets file, by name. Default: none. */
  readonly secrets?: Readonly<Record<string, pulumi.Input<string>>>;
  /** Certificate of the gateway, which runs on rank 0. Default: plain HTTP. */
  readonly certificate?: HostCertificate;
  /**
   * Time limit to prepare the nodes, seconds; includes the first installation of Python packages. Default:
   * the driver's, 900.
   */
  readonly leaseTimeoutSeconds?: number;
  /** Time limit to start one unit, seconds. Default: the driver's, 180. */
  readonly unitTimeoutSeconds?: number;
  /**
   * Why the cluster's nodes, or one of its units, must be set up again although nothing changed. Default: no
   * repair.
   */
  readonly repairs?: LocalRepairs;
}

/**
 * Nodes on this machine, each with its own directory, loopback address and supervisor, which keeps the plan's
 * programs running. Nothing is reachable from other machines.
 *
 * The nodes are one command resource, the *lease*, and every unit is another one that depends on it. Deleting
 * the lease always stops all processes of the cluster and removes its files, even if units failed to start.
 */
export class LocalCluster extends pulumi.ComponentResource implements ClusterHost {
  /** Full name: project, stack, the plan's name and a random suffix. */
  readonly clusterName: pulumi.Output<string>;
  /** Loopback address of rank 0. */
  readonly headAddress: pulumi.Output<string>;
  readonly isLocal = true;
  readonly certificate: pulumi.Output<ServedCertificate> | undefined;
  readonly run: UnitRun;
  readonly #lease: DriverCommand;
  readonly #args: LocalClusterArgs;

  constructor(name: string, args: LocalClusterArgs, opts?: pulumi.ComponentResourceOptions) {
    super("dynamo-sky:index:LocalCluster", name, {}, opts);
    const { bundle, served } = ownCertificate(args) ?? {};
    this.certificate = served;
    this.#args =
      bundle === undefined ? args : { ...args, secrets: { ...args.secrets, [TLS_BUNDLE]: bundle } };
    this.clusterName = pulumi.output(args.clusterName);
    this.headAddress = pulumi.output(addressOf(args.addresses, 0));
    this.#lease = new DriverCommand(
      `${name}-lease`,
      {
        apply: "local lease",
        remove: "local release",
        input: leaseInput(this.#args),
        secretInput: secretsOf(this.#args) !== undefined,
        // A changed set of nodes or name replaces the cluster with all its programs.
        identity: [
          stableJson(args.plan.nodes.map(({ rank }) => ({ rank, address: addressOf(args.addresses, rank) }))),
          args.clusterName,
        ],
        repair: args.repairs?.lease === undefined ? undefined : { reason: args.repairs.lease, isCause: true },
      },
      { parent: this },
    );
    this.run = {
      resources: [this.#lease.resource],
      digest: this.#lease.digest,
      repair: args.repairs?.lease,
      unproven: args.repairs?.readiness,
    };
    this.registerOutputs({ clusterName: this.clusterName, headAddress: this.headAddress });
  }

  isBroken(unit: Unit): boolean {
    const { lease, units } = this.#args.repairs ?? {};
    return lease !== undefined || units?.has(unit.name) === true;
  }

  runUnit(name: string, unit: Unit, opts: pulumi.CustomResourceOptions): UnitRun {
    const { lease, units } = this.#args.repairs ?? {};
    const reason = lease ?? units?.get(unit.name);
    const command = new DriverCommand(
      name,
      {
        apply: "local apply",
        remove: "local remove",
        input: unitInput(this.#args, unit),
        // Replacing the lease stops the unit's programs: they must be started again with the same input.
        basis: this.#lease.instance,
        repair: reason === undefined ? undefined : { reason, isCause: lease === undefined },
      },
      pulumi.mergeOptions(opts, { dependsOn: this.#lease.resource }),
    );
    return { resources: [command.resource], digest: command.digest, repair: reason };
  }

  url(rank: number, port: number): pulumi.Output<string> {
    const scheme = this.certificate === undefined ? "http" : "https";
    return pulumi.output(`${scheme}://${addressOf(this.#args.addresses, rank)}:${port}`);
  }

  logs(unit: Unit): pulumi.Output<Record<string, string[]>> {
    return this.clusterName.apply((cluster) =>
      Object.fromEntries(
        unit.nodes.flatMap(({ rank, programs }) =>
          programs.map((program) => [
            program.name,
            [`clusters/${cluster}/node${rank}/${programLog(program.name)}`],
          ]),
        ),
      ),
    );
  }
}

/** The gateway's certificate with its key, and the part that clients see. */
function ownCertificate({
  certificate,
  addresses,
}: LocalClusterArgs):
  | { readonly bundle: pulumi.Output<string>; readonly served: pulumi.Output<ServedCertificate> }
  | undefined {
  if (certificate === undefined) return undefined;
  if (certificate.kind === "own")
    return { bundle: certificate.bundle, served: pulumi.output(certificate.served) };
  const names = [...new Set([addressOf(addresses, 0), ...certificate.names])];
  const issued = certificate.seed.apply((seed) => {
    // Loaded lazily: the library for certificates is large, and few deployments need it.
    const { issueCertificate } = require("../lib/tls/issue") as typeof import("../lib/tls/issue");
    return issueCertificate(seed, names);
  });
  const served = pulumi.unsecret(issued).apply(({ bundle: _, ...shown }): ServedCertificate => shown);
  return { bundle: issued.apply(({ bundle }) => bundle), served };
}

/** The secrets required by programs of the plan; undefined if there are none. */
function secretsOf({
  plan,
  secrets = {},
}: LocalClusterArgs): Record<string, pulumi.Input<string>> | undefined {
  const wanted = new Set(plan.nodes.flatMap(({ programs }) => programs.flatMap(secretsOfProgram)));
  const found = Object.entries(secrets).filter(([name]) => wanted.has(name));
  return found.length === 0 ? undefined : Object.fromEntries(found);
}

function leaseInput(args: LocalClusterArgs) {
  const secrets = secretsOf(args);
  return {
    cluster: args.clusterName,
    ...(args.controlAddress === undefined ? {} : { headAddress: args.controlAddress }),
    nodes: args.plan.nodes.map((node) => ({
      rank: node.rank,
      address: addressOf(args.addresses, node.rank),
      ports: leasedPorts(node),
    })),
    units: unitsOf(args.plan).map(({ name }) => name),
    ...(secrets === undefined ? {} : { secrets }),
    ...(args.model === undefined ? {} : { model: args.model }),
    services: hasRole(args.plan, "etcd", "nats"),
    ...(hasRole(args.plan, "gateway") ? { gateway: true } : {}),
    ...(hasRole(args.plan, "planner") ? { planner: true } : {}),
    ...(hasRole(args.plan, "prometheus") ? { prometheus: true } : {}),
    ...(args.rollout === undefined ? {} : { rollout: args.rollout }),
    ...(args.leaseTimeoutSeconds === undefined ? {} : { timeoutSeconds: args.leaseTimeoutSeconds }),
  };
}

/** The ports of a node's programs, in the form of the lease. */
export function leasedPorts({ programs }: NodePlan) {
  return programs.flatMap(({ name, role, ports }) =>
    Object.entries(ports).map(([purpose, port]) => ({
      program: name,
      purpose,
      port,
      configKey: portSetting(role, purpose),
    })),
  );
}

function hasRole(plan: ClusterPlan, ...roles: readonly ProgramRole[]): boolean {
  return plan.nodes.some(({ programs }) => programs.some(({ role }) => roles.includes(role)));
}

function unitInput(args: LocalClusterArgs, unit: Unit) {
  const files = broughtTo(unit, args.files ?? {});
  return {
    cluster: args.clusterName,
    unit: unit.name,
    nodes: unit.nodes.map(({ rank, programs }) => ({
      rank,
      address: addressOf(args.addresses, rank),
      programs: programs.map((program) => withDigests(program, files)),
    })),
    ...(Object.keys(files).length === 0 ? {} : { files }),
    ...(args.unitTimeoutSeconds === undefined ? {} : { timeoutSeconds: args.unitTimeoutSeconds }),
  };
}

function addressOf(addresses: readonly string[], rank: number): string {
  const address = addresses[rank];
  if (address === undefined)
    throw new RangeError(`no address for node ${rank}: there are ${addresses.length}`);
  return address;
}
