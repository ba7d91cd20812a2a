/** The whole deployment, from a configuration to an endpoint that answers. */
import * as pulumi from "@pulumi/pulumi";
import { RandomString } from "@pulumi/random/randomString";
import { HUGGING_FACE_TOKEN } from "../plan/programs/environment";
import { CONTROL_PLANE_ROLES, type DeploymentPlan, type ProgramRole } from "../plan/types";
import type { ClusterHost, PlacedUnit, UnitRun } from "./clusterHost";
import { ControlPlane } from "./controlPlane";
import { type Deployment, type DynamoClusterArgs, prepare } from "./deployment";
import { Frontend } from "./frontend";
import { LocalCluster, type LocalClusterArgs } from "./localCluster";
import { clusterBaseName, SUFFIX_LENGTH } from "./names";
import { Readiness } from "./readiness";
import { localRepairs } from "./repair";
import { Router } from "./router";
import { type ClusterTopology, chatCommand, topologyOf } from "./topology";
import { unitsOf } from "./units";
import { DecodeWorkers, PrefillWorkers, Workers } from "./workers";

/** An NVIDIA Dynamo inference cluster with an OpenAI-compatible endpoint. */
export class DynamoCluster extends pulumi.ComponentResource {
  /** Base URL of the OpenAI-compatible API, without `/v1`. Known once a chat completion has come back through it. */
  readonly endpoint: pulumi.Output<string>;
  /** Name of the model, as requests give it. */
  readonly model: pulumi.Output<string>;
  /** Key that requests must carry, a secret; undefined where the endpoint asks for none. */
  readonly apiKey: pulumi.Output<string | undefined>;
  /** A command that asks a chat question; can be pasted into a shell. */
  readonly chat: pulumi.Output<string>;
  /** Which program runs on which node, on which GPUs and ports. */
  readonly topology: pulumi.Output<ClusterTopology[]>;
  /** Where each program logs to. */
  readonly logs: pulumi.Output<Record<string, string[]>>;

  /**
   * @param name Name of the deployment in the stack.
   * @param args The deployment, in the shape of the configuration.
   * @throws pulumi.RunError that lists every mistake in `args`, before any child resource is made.
   */
  constructor(name: string, args: DynamoClusterArgs, opts?: pulumi.ComponentResourceOptions) {
    // Before anything else, so that a mistake leaves no trace in the state.
    const deployment = prepare(args);
    super("dynamo-sky:index:DynamoCluster", name, {}, opts);
    const { plan } = deployment;
    const hosts = this.#hosts(name, args, deployment);
    const placed = placedUnits(plan, hosts);
    const runs = this.#programs(name, plan, placed);

    const clusters = [...hosts.values()];
    const head = hostOf(hosts, plan.endpoint.cluster);
    this.logs = pulumi
      .all(placed.map(({ unit, host }) => host.logs(unit)))
      .apply((parts) => Object.fromEntries(parts.flatMap((part) => Object.entries(part))));
    const ready = new Readiness(
      `${name}-ready`,
      {
        endpoint: head.url(plan.endpoint.rank, plan.endpoint.port),
        model: plan.model,
        namespace: plan.namespace,
        expectedWorkers: plan.expectedWorkers,
        timeoutSeconds: deployment.config.timeouts.readySeconds,
        logs: this.logs,
        localClusters: clusters.filter(({ isLocal }) => isLocal).map(({ clusterName }) => clusterName),
        runs: [...clusters.map(({ run }) => run), ...runs],
      },
      { parent: this },
    );

    this.endpoint = ready.endpoint;
    this.model = pulumi.output(plan.model);
    this.apiKey = pulumi.output(undefined);
    this.chat = this.endpoint.apply((endpoint) => chatCommand(endpoint, plan.model));
    this.topology = pulumi
      .all(plan.clusters.map((cluster) => hostOf(hosts, cluster.name).clusterName))
      .apply((names) => topologyOf(plan, names));
    this.registerOutputs({
      endpoint: this.endpoint,
      model: this.model,
      apiKey: this.apiKey,
      chat: this.chat,
      topology: this.topology,
      logs: this.logs,
    });
  }

  /** The clusters, by their name in the plan. */
  #hosts(name: string, args: DynamoClusterArgs, deployment: Deployment): Map<string, ClusterHost> {
    const suffix = new RandomString(
      `${name}-suffix`,
      { length: SUFFIX_LENGTH, upper: false, special: false },
      { parent: this },
    );
    const prefix = args.clusterPrefix ?? `${pulumi.getProject()}-${pulumi.getStack()}-${name}`;
    const hosts = new Map<string, ClusterHost>();
    for (const cluster of deployment.plan.clusters) {
      const base = clusterBaseName(prefix, cluster.name);
      const made = {
        clusterName: suffix.result.apply((end) => `${base}-${end}`),
        plan: cluster,
        model: deployment.config.model,
        ...(args.huggingFaceToken === undefined
          ? {}
          : { secrets: { [HUGGING_FACE_TOKEN]: args.huggingFaceToken } }),
        unitTimeoutSeconds: deployment.config.timeouts.readySeconds,
        ...(args.observed === undefined ? {} : { repairs: localRepairs(cluster, base, args.observed) }),
      };
      hosts.set(cluster.name, this.#host(`${name}-${cluster.name}`, made, deployment));
    }
    return hosts;
  }

  #host(name: string, made: Omit<LocalClusterArgs, "addresses">, deployment: Deployment): ClusterHost {
    const { config, addresses } = deployment;
    switch (config.target) {
      case "local":
        return new LocalCluster(
          name,
          { ...made, addresses: addresses.get(made.plan.name) ?? [] },
          { parent: this },
        );
      case "sky":
        throw new pulumi.RunError('dynamo-sky:target: "sky" is not implemented yet. Use "local".');
    }
  }

  /** Control plane first; then frontends and workers, which wait for each other by health and not by order. */
  #programs(name: string, plan: DeploymentPlan, placed: readonly PlacedUnit[]): UnitRun[] {
    const parent = { parent: this };
    const having = (...roles: ProgramRole[]) => placed.filter(({ unit }) => roles.includes(unit.role));
    const control = new ControlPlane(
      `${name}-control-plane`,
      { units: having(...CONTROL_PLANE_ROLES) },
      parent,
    );
    new Router(`${name}-router`, { mode: plan.routerMode }, parent);
    const after = control.runs;
    const frontend = new Frontend(
      `${name}-frontend`,
      { units: having("gateway", "frontend"), after },
      parent,
    );
    const pools = [
      { Pool: Workers, role: "aggregated" },
      { Pool: PrefillWorkers, role: "prefill" },
      { Pool: DecodeWorkers, role: "decode" },
    ] as const;
    const workers = pools
      .filter(({ role }) => having(role).length > 0)
      .flatMap(({ Pool, role }) => new Pool(`${name}-${role}`, { units: having(role), after }, parent).runs);
    return [...control.runs, ...frontend.runs, ...workers];
  }
}

function placedUnits(plan: DeploymentPlan, hosts: ReadonlyMap<string, ClusterHost>): PlacedUnit[] {
  return plan.clusters.flatMap((cluster) =>
    unitsOf(cluster).map((unit) => ({ unit, host: hostOf(hosts, cluster.name) })),
  );
}

function hostOf(hosts: ReadonlyMap<string, ClusterHost>, cluster: string): ClusterHost {
  const host = hosts.get(cluster);
  if (host === undefined) throw new RangeError(`the plan has no cluster ${cluster}`);
  return host;
}
