/**
 * The task's `setup`: the command that prepares a node with `runtime/setup.sh`. Runs once per node, and again
 * when it changes. Pure.
 */
import type { DeploymentConfig, PoolConfig } from "../config/deployment";
import { modelSource } from "../config/model";
import { VERSIONS } from "../config/versions";
import { isSimulated } from "../engines";
import { NODE_FILES, NODE_MODELS } from "../lib/placeholders";
import { quoted } from "../lib/shell";
import { otherHubModels } from "../plan/otherModels";

/** Directory of all files of this program on a node, relative to the user's home. */
export const ENVIRONMENT = ".dynamo-sky";

/** The files of `runtime/`, on a node. */
export const RUNTIME = `~/${ENVIRONMENT}/runtime`;

/** Files of the deployment on a node; `runtime/start.py` passes them to each node's programs. */
export const BROUGHT = `~/${ENVIRONMENT}/${NODE_FILES}`;

/** Where buckets with models are copied to, on a node. */
export const BUCKETS = `~/${ENVIRONMENT}/${NODE_MODELS}`;

/**
 * Secrets with which SkyPilot logs in to the image's registry:
 * https://docs.skypilot.co/en/latest/examples/docker-containers.html#private-registries
 */
export const REGISTRY_SECRETS = {
  server: "SKYPILOT_DOCKER_SERVER",
  username: "SKYPILOT_DOCKER_USERNAME",
  password: "SKYPILOT_DOCKER_PASSWORD",
} as const;

/**
 * File with the values of secrets, relative to the home directory. Not used by recipes, which run without
 * this program.
 */
export const SECRETS_FILE = `${ENVIRONMENT}/secrets.json`;

/** What a node needs besides Dynamo and the model. */
export interface NodeServices {
  /** etcd and NATS. */
  readonly controlPlane: boolean;
  /** nginx. */
  readonly gateway: boolean;
  readonly prometheus: boolean;
  /** Packages of Dynamo's planner. Default: false. */
  readonly planner?: boolean;
  /** openssl, if the node issues certificates: the gateway's, or its programs'. Default: false. */
  readonly certificates?: boolean;
}

/** Programs by their names in `runtime/setup.sh`. */
function serviceNames({ controlPlane, gateway, planner, prometheus, certificates }: NodeServices): string[] {
  return [
    ...(controlPlane ? ["etcd", "nats-server"] : []),
    ...(gateway ? ["nginx"] : []),
    ...(certificates ? ["openssl"] : []),
    ...(planner ? ["planner"] : []),
    ...(prometheus ? ["prometheus"] : []),
  ];
}

/**
 * Other models on the hub, as `runtime/fetch_model.py` takes them: downloaded once per node, not by every
 * worker.
 */
function moreModels(config: DeploymentConfig, pools: readonly PoolConfig[]): string[] {
  return otherHubModels(config, pools).map(({ name, revision }) => atRevision(name, revision));
}

function atRevision(name: string, revision: string | undefined): string {
  return revision === undefined ? name : `${name}@${revision}`;
}

/** Whether nodes download the deployment's model. */
function isFetched({ engine, model }: DeploymentConfig): boolean {
  return !isSimulated(engine) && modelSource(model) === "hub";
}

/** All models that a node with workers of these pools downloads, as `runtime/fetch_model.py` takes them. */
export function fetchedModels(config: DeploymentConfig, pools: readonly PoolConfig[]): string[] {
  if (pools.length === 0) return [];
  const { model, modelRevision } = config;
  return [...(isFetched(config) ? [atRevision(model, modelRevision)] : []), ...moreModels(config, pools)];
}

/** Which weights the set-up downloads. */
export interface SetupWeights {
  /** Shell expression for the model. Default: its name. */
  readonly model?: string | undefined;
  /** Pools whose workers the nodes run. Default: all. */
  readonly pools?: readonly PoolConfig[];
  /** Nodes that have workers. Default: all. */
  readonly ranks?: readonly number[] | undefined;
}

/** @param weights Default: the set-up downloads none. */
export function setupCommand(
  config: DeploymentConfig,
  services: NodeServices,
  weights?: SetupWeights,
): string {
  const { engine, modelRevision } = config;
  const wanted = serviceNames(services);
  const { model = quoted(config.model), pools = config.pools, ranks } = weights ?? {};
  const more = weights === undefined ? [] : moreModels(config, pools);
  const hasModel = weights !== undefined && isFetched(config);
  const own = isSimulated(engine) ? "" : ` --engine ${engine}`;
  const options = [
    `--dynamo ${VERSIONS.dynamo} --supervisor ${VERSIONS.supervisor}${own}`,
    [
      ...(wanted.length === 0 ? [] : [`--services ${quoted(wanted.join(" "))}`]),
      ...(hasModel ? [`--model ${model}`] : []),
    ].join(" "),
    ...(hasModel && modelRevision !== undefined ? [`--revision ${quoted(modelRevision)}`] : []),
    ...(more.length > 0 ? [`--also ${quoted(more.join(" "))}`] : []),
    ...((hasModel || more.length > 0) && ranks !== undefined ? [`--ranks ${quoted(ranks.join(" "))}`] : []),
  ];
  return `bash ${RUNTIME}/setup.sh ${options.filter(Boolean).join(" \\\n  ")}\n`;
}
