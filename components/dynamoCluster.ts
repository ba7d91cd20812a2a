/** The whole deployment, from the configuration to a serving endpoint. */
import * as pulumi from "@pulumi/pulumi";
import { RandomString } from "@pulumi/random/randomString";
import type { ServedCertificate } from "../lib/tls/served";
import type { DeploymentCost } from "../plan/cost";
import { inventoryOf } from "../plan/inventory";
import { costOutput, DEPLOYMENT_TYPE, type DeploymentDetails, deployedLayout } from "../plan/outputs";
import { HUGGING_FACE_TOKEN } from "../plan/programs/environment";
import { API_KEYS } from "../plan/programs/gateway";
import { type RolloutPlan, rolloutOf, withClusters } from "../plan/rollout";
import {
  type ClusterPlan,
  CONTROL_PLANE_ROLES,
  type DeploymentPlan,
  METRICS_ROLES,
  type ProgramRole,
} from "../plan/types";
import { unitsOf } from "../plan/units";
import { REGISTRY_SECRETS } from "../sky/setup";
import { ApiKeys } from "./apiKeys";
import type { ClusterHost, PlacedUnit, UnitRun } from "./clusterHost";
import { ControlPlane } from "./controlPlane";
import { Credentials } from "./credentials";
import { keepSecretsOutOfDebugMessages } from "./debugMessages";
import { type Deployment, type DynamoClusterArgs, prepare } from "./deployment";
import { Frontend } from "./frontend";
import { gatewayCertificate, type HostCertificate } from "./gatewayCertificate";
import { LocalCluster } from "./localCluster";
import { Metrics } from "./metrics";
import { clusterBaseName, SUFFIX_LENGTH } from "./names";
import { Planner } from "./planner";
import { Readiness, untilUnlisted } from "./readiness";
import { localRepairs } from "./repair";
import { Router } from "./router";
import { clusterIdentity, SkyCluster } from "./skyCluster";
import { skyRepairs } from "./skyRepair";
import { type ClusterTopology, chatCommand, type DeploymentSummary, summaryOf, topologyOf } from "./topology";
import { DecodeWorkers, EncodeWorkers, PrefillWorkers, Workers } from "./workers";

/** An NVIDIA Dynamo inference cluster with an OpenAI-compatible endpoint. */
export class DynamoCluster extends pulumi.ComponentResource {
  /**
   * Base URL of the OpenAI-compatible API, without `/v1`. Resolves once a request to it has succeeded. Empty
   * while it is asleep, as are all that tell of what runs.
   */
  readonly endpoint: pulumi.Output<string>;
  /** Same as `endpoint`, but resolves as soon as the clusters exist: it may not answer yet. */
  readonly address: pulumi.Output<string>;
  /** Name of the model in requests. */
  readonly model: pulumi.Output<string>;
  /**
   * API key for requests, the first of the configuration: a secret; undefined if the endpoint requires none.
   */
  readonly apiKey: pulumi.Output<string | undefined>;
  /** Whether the endpoint requires a key. */
  readonly asksForKey: boolean;
  /** All accepted keys by name, including retired ones: a secret; empty if the endpoint requires none. */
  readonly apiKeys: pulumi.Output<Record<string, string>>;
  /** Whether the endpoint uses TLS. */
  readonly speaksTls: boolean;
  /**
   * PEM that clients must trust: the authority of a generated certificate, or your own certificate; undefined
   * with plain HTTP.
   */
  readonly certificate: pulumi.Output<string | undefined>;
  /**
   * SHA-256 fingerprint of the endpoint's certificate, as printed by `openssl x509 -fingerprint -sha256`;
   * undefined with plain HTTP.
   */
  readonly certificateFingerprint: pulumi.Output<string | undefined>;
  /** A shell command that sends the model a request of its task. */
  readonly chat: pulumi.Output<string>;
  /** Node, GPUs and ports of each program. */
  readonly topology: pulumi.Output<ClusterTopology[]>;
  /** Where it runs, and what must be ready. */
  readonly deployment: pulumi.Output<DeploymentSummary>;
  /**
   * Log location of each program; local files are relative to `DYNAMO_SKY_STATE`
   * (`~/.local/state/dynamo-sky`).
   */
  readonly logs: pulumi.Output<Record<string, string[]>>;
  /**
   * All data for the `dynamo-sky` commands: the three above, `chat`, the engine and the prices. They read it
   * from the state: a stack need not export it.
   */
  readonly details: pulumi.Output<DeploymentDetails>;
  /**
   * GPUs, and SkyPilot's hourly prices for them. Known in a preview; it changes daily, so no command depends
   * on it.
   */
  readonly cost: DeploymentCost;

  /**
   * @param name Name of the deployment in the stack.
   * @param args The deployment, in the shape of the configuration.
   * @throws ProgramError (a `pulumi.RunError`) that lists every mistake in `args`, before any child resource
   * is created.
   */
  constructor(name: string, args: DynamoClusterArgs, opts?: pulumi.ComponentResourceOptions) {
    // Validated first, so that a mistake leaves no trace in the state.
    const deployment = prepare(args);
    const { config, cost } = deployment;
    const plan = { ...deployment.plan, clusters: deployment.clusters };
    // Inputs are visible to policies before anything is created.
    super(DEPLOYMENT_TYPE, name, inventoryOf(config, plan, cost), opts);
    keepSecretsOutOfDebugMessages();
    this.cost = cost;
    const { access } = config;
    for (const caution of deployment.cautions) void pulumi.log.warn(caution, this);
    const keys = access.gateway ? new ApiKeys(`${name}-key`, access, { parent: this }) : undefined;
    const tls = gatewayCertificate(`${name}-tls`, access.tls, args.tlsKey, { parent: this });
    const hosts = this.#hosts(name, args, deployment, { keys, tls });
    const placed = placedUnits(plan, hosts);
    const runs = this.#programs(name, plan, placed);

    // None while it is asleep.
    const head = hosts.get(plan.endpoint.cluster);
    this.logs = pulumi
      .all(placed.map(({ unit, host }) => host.logs(unit)))
      .apply((parts) => Object.fromEntries(parts.flatMap((part) => Object.entries(part))));
    this.address = head?.url(plan.endpoint.rank, plan.endpoint.port) ?? pulumi.output("");
    this.endpoint =
      head === undefined ? this.address : this.#ready(name, { deployment, hosts, head, keys, runs });
    this.model = pulumi.output(plan.model);
    this.asksForKey = keys !== undefined;
    this.apiKey = pulumi.output(keys?.first);
    this.apiKeys = keys?.values ?? pulumi.output<Record<string, string>>({});
    this.speaksTls = tls !== undefined;
    const shown = pulumi.output<ServedCertificate | undefined>(head?.certificate);
    this.certificate = shown.apply((served) => served?.authority);
    this.certificateFingerprint = shown.apply((served) => served?.fingerprint);
    const { asksForKey } = this;
    const curl = pulumi
      .all([this.address, shown])
      .apply(([address, served]) =>
        chatCommand(address, plan, { asksForKey, publicKeyPin: served?.publicKeyPin }),
      );
    this.chat = pulumi.all([curl, this.endpoint]).apply(([command]) => command);
    this.topology = pulumi
      .all(plan.clusters.map((cluster) => hostOf(hosts, cluster.name).clusterName))
      .apply((names) => topologyOf(plan, names));
    this.deployment = pulumi.output(summaryOf(deployment.config, plan));
    const said = { engine: config.engine, layout: deployedLayout(config) };
    const prices = Object.fromEntries(cost.clusters.map((one) => [one.name, one.dollarsPerHour]));
    this.details = pulumi
      .all([this.topology, this.deployment, this.logs, curl])
      .apply(([topology, where, logs, command]) => {
        return { ...said, deployment: where, topology, logs, prices, curl: command };
      });
    // For the commands, after a failed update too: nothing that waits for an answer of the endpoint.
    this.registerOutputs({
      address: this.address,
      model: this.model,
      certificate: this.certificate,
      certificateFingerprint: this.certificateFingerprint,
      apiKey: this.apiKey,
      apiKeys: this.apiKeys,
      cost: costOutput(cost),
      deployment: this.details,
    });
  }

  /** The endpoint, as soon as it answers. */
  #ready(name: string, { deployment, hosts, head, keys, runs }: Proven): pulumi.Output<string> {
    const { plan, config } = deployment;
    const clusters = [...hosts.values()];
    const args = {
      endpoint: this.address,
      model: plan.model,
      task: plan.task,
      namespace: plan.namespace,
      expectedWorkers: plan.expectedWorkers,
      // Pulumi takes down what a deployment no longer has after all else.
      ...(config.placement === "dedicated" ? { surplusSeconds: untilUnlisted(config) } : {}),
      ...(keys === undefined ? {} : { apiKey: keys.first }),
      ...(head.certificate === undefined
        ? {}
        : { fingerprint: head.certificate.apply(({ fingerprint }) => fingerprint) }),
      timeoutSeconds: config.timeouts.readySeconds,
      logs: this.logs,
      localClusters: clusters.filter(({ isLocal }) => isLocal).map(({ clusterName }) => clusterName),
      sky: skyClusters(deployment, head, clusters),
      runs: [...clusters.map(({ run }) => run), ...runs],
    };
    return new Readiness(`${name}-ready`, args, { parent: this }).endpoint;
  }

  /** The clusters that run, by their name in the plan. */
  #hosts(
    name: string,
    args: DynamoClusterArgs,
    deployment: Deployment,
    { keys, tls }: AccessInputs,
  ): Map<string, ClusterHost> {
    const { huggingFaceToken } = args;
    const credentials = new Credentials(
      `${name}-credentials`,
      deployment.plan,
      deployment.config.controlPlane.generation,
      { parent: this },
    );
    const secrets = {
      ...credentials.values,
      ...(huggingFaceToken === undefined ? {} : { [HUGGING_FACE_TOKEN]: huggingFaceToken }),
      ...registryLogin(args),
      ...(keys === undefined ? {} : { [API_KEYS]: keys.forGateway }),
    };
    const suffix = this.#suffix(`${name}-suffix`);
    const prefix = args.clusterPrefix ?? `${pulumi.getProject()}-${pulumi.getStack()}-${name}`;
    const hosts = new Map<string, ClusterHost>();
    const suffixes = new Map(
      deployment.named.map((cluster) => [
        cluster.name,
        this.#ownSuffix(`${name}-${cluster.name}-suffix`, cluster, deployment) ?? suffix,
      ]),
    );
    const named = headFirst(deployment).map((cluster) => {
      const base = clusterBaseName(prefix, cluster.name);
      const { result } = suffixes.get(cluster.name) ?? suffix;
      return { cluster, base, clusterName: result.apply((end) => `${base}-${end}`) };
    });
    const planned = rolloutOf(deployment.config, deployment.plan);
    const names = Object.fromEntries(named.map(({ cluster, clusterName }) => [cluster.name, clusterName]));
    const rollout =
      planned &&
      pulumi.all(names).apply((full) => withClusters(planned, (cluster) => full[cluster] ?? cluster));
    for (const { cluster, base, clusterName } of named) {
      const isHead = cluster.name === deployment.plan.endpoint.cluster;
      const certificate = isHead ? tls : undefined;
      const made = {
        name: `${name}-${cluster.name}`,
        base,
        clusterName,
        cluster,
        hosts,
        secrets,
        certificate,
        rollout,
      };
      hosts.set(cluster.name, this.#host(made, args, deployment));
    }
    return hosts;
  }

  #suffix(name: string, keepers?: Readonly<Record<string, string>>): RandomString {
    const shape = { length: SUFFIX_LENGTH, upper: false, special: false };
    return new RandomString(name, keepers === undefined ? shape : { ...shape, keepers }, { parent: this });
  }

  /** A suffix for each cluster that is created before its predecessor is deleted. */
  #ownSuffix(name: string, plan: ClusterPlan, { config }: Deployment): RandomString | undefined {
    if (config.target === "local" || config.sky.deleteBeforeReplace) return undefined;
    return this.#suffix(name, { cluster: clusterIdentity({ plan, config }) });
  }

  #host(made: NewHost, args: DynamoClusterArgs, deployment: Deployment): ClusterHost {
    const { config, addresses, files, plan } = deployment;
    const { cluster, clusterName, base, secrets, certificate } = made;
    const { observed, observedSky } = args;
    const common = {
      clusterName,
      plan: cluster,
      files,
      ...(Object.keys(secrets).length === 0 ? {} : { secrets }),
      ...(certificate === undefined ? {} : { certificate }),
    };
    const parent = { parent: this };
    if (config.target === "local") {
      const local = {
        ...common,
        addresses: addresses.get(cluster.name) ?? [],
        model: config.model,
        unitTimeoutSeconds: config.timeouts.readySeconds,
        ...(made.rollout === undefined ? {} : { rollout: made.rollout }),
        ...(observed === undefined ? {} : { repairs: localRepairs(cluster, base, observed) }),
      };
      return new LocalCluster(made.name, local, parent);
    }
    const control = made.hosts.get(plan.endpoint.cluster);
    const sky = {
      ...common,
      config,
      port: plan.endpoint.port,
      hasEndpoint: control === undefined,
      ...(control === undefined ? {} : { controlIp: control.headAddress, home: control.clusterName }),
      ...(made.rollout === undefined || control !== undefined ? {} : { rollout: made.rollout }),
      ...(observedSky === undefined ? {} : { repairs: skyRepairs(cluster, base, observedSky) }),
    };
    return new SkyCluster(made.name, sky, parent);
  }

  /**
   * Control plane first; then frontends and workers in parallel, which wait for each other by health checks.
   */
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
      { Pool: EncodeWorkers, role: "encode" },
    ] as const;
    const workers = pools
      .filter(({ role }) => having(role).length > 0)
      .flatMap(({ Pool, role }) => new Pool(`${name}-${role}`, { units: having(role), after }, parent).runs);
    const watchers = having(...METRICS_ROLES);
    const metrics =
      watchers.length > 0 ? new Metrics(`${name}-metrics`, { units: watchers }, parent).runs : [];
    const planners = having("planner");
    const planner =
      planners.length > 0 ? new Planner(`${name}-planner`, { units: planners, after }, parent).runs : [];
    return [...control.runs, ...frontend.runs, ...workers, ...planner, ...metrics];
  }
}

/** Keys and certificate of the gateway; empty if there is none. */
interface AccessInputs {
  readonly keys: ApiKeys | undefined;
  readonly tls: HostCertificate | undefined;
}

/** What has to answer. */
interface Proven {
  readonly deployment: Deployment;
  readonly hosts: ReadonlyMap<string, ClusterHost>;
  readonly head: ClusterHost;
  readonly keys: ApiKeys | undefined;
  readonly runs: readonly UnitRun[];
}

/** A cluster to create. */
interface NewHost {
  readonly name: string;
  /** Its full name without the random suffix. */
  readonly base: string;
  readonly clusterName: pulumi.Output<string>;
  readonly cluster: ClusterPlan;
  /** Clusters created before it. */
  readonly hosts: ReadonlyMap<string, ClusterHost>;
  /** Values of variables from the node's secrets file. */
  readonly secrets: Readonly<Record<string, pulumi.Input<string>>>;
  /** Certificate of the gateway, if it runs on this cluster. */
  readonly certificate: HostCertificate | undefined;
  /** Which units are changed one after the other; undefined if none is. */
  readonly rollout: pulumi.Output<RolloutPlan> | undefined;
}

/** SkyPilot's login at the image's registry. */
function registryLogin({ sky, registryPassword }: DynamoClusterArgs): Record<string, pulumi.Input<string>> {
  const registry = sky?.registry;
  if (registry === undefined || registryPassword === undefined) return {};
  return {
    [REGISTRY_SECRETS.server]: registry.server,
    [REGISTRY_SECRETS.username]: registry.username,
    [REGISTRY_SECRETS.password]: pulumi.secret(registryPassword),
  };
}

/** The clusters, the one with control plane and endpoint first: the others need its address. */
function headFirst({ clusters, plan: { endpoint } }: Deployment): ClusterPlan[] {
  return clusters.toSorted(
    (a, b) => Number(b.name === endpoint.cluster) - Number(a.name === endpoint.cluster),
  );
}

/** The SkyPilot clusters, the one with the endpoint first; undefined with target local. */
function skyClusters({ config }: Deployment, head: ClusterHost, clusters: readonly ClusterHost[]) {
  if (config.target === "local") return undefined;
  const others = clusters.filter((cluster) => cluster !== head);
  return { infra: config.sky.infra, clusters: [head, ...others].map(({ clusterName }) => clusterName) };
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
