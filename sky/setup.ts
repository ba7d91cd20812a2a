/**
 * The task's `setup`: the command that prepares a node, by `runtime/setup.sh`. Runs once a node, and again
 * after a change of it. Pure.
 */
import { modelSource } from "../config/model";
import { ENGINE_IMAGES, IMAGE_REGISTRY, VERSIONS } from "../config/versions";
import { NODE_FILES, NODE_MODELS } from "../lib/placeholders";
import { quoted } from "../lib/shell";
import type { DeploymentConfig, PoolConfig } from "../plan/config";
import { otherModels } from "../plan/otherModels";
import type { EngineName } from "../plan/types";

/**
 * The image that SkyPilot starts on the nodes (`image_id`), or undefined where PyPI's packages are installed
 * instead.
 */
export function engineImage(engine: EngineName): string | undefined {
  return engine === "mocker"
    ? undefined
    : `docker:${IMAGE_REGISTRY}/${ENGINE_IMAGES[engine]}:${VERSIONS.dynamo}`;
}

/** Where everything of this program is on a node, relative to the home directory of the node's user. */
export const ENVIRONMENT = ".dynamo-sky";

/** The files of `runtime/`, on a node. */
export const RUNTIME = `~/${ENVIRONMENT}/runtime`;

/** Files that a deployment brings, on a node; `runtime/start.py` gives them to each node's programs. */
export const BROUGHT = `~/${ENVIRONMENT}/${NODE_FILES}`;

/** Where buckets with models are copied to, on a node. */
export const BUCKETS = `~/${ENVIRONMENT}/${NODE_MODELS}`;

/**
 * Secrets from which SkyPilot logs in at the registry of the image:
 * https://docs.skypilot.co/en/latest/examples/docker-containers.html#private-registries
 */
export const REGISTRY_SECRETS = {
  server: "SKYPILOT_DOCKER_SERVER",
  username: "SKYPILOT_DOCKER_USERNAME",
  password: "SKYPILOT_DOCKER_PASSWORD",
} as const;

/**
 * Where a launch puts the values of secrets, other than of a recipe without this program; relative to the
 * same.
 */
export const SECRETS_FILE = `${ENVIRONMENT}/secrets.json`;

/** What a node needs besides Dynamo and the model. */
export interface NodeServices {
  /** etcd and NATS. */
  readonly controlPlane: boolean;
  /** nginx. */
  readonly gateway: boolean;
  readonly prometheus: boolean;
  /** openssl, where the node makes the gateway's certificate. Default: it does not. */
  readonly ownCertificate?: boolean;
}

/** Programs by the names that `runtime/setup.sh` knows. */
function serviceNames({ controlPlane, gateway, prometheus, ownCertificate }: NodeServices): string[] {
  return [
    ...(controlPlane ? ["etcd", "nats-server"] : []),
    ...(gateway ? ["nginx"] : []),
    ...(ownCertificate ? ["openssl"] : []),
    ...(prometheus ? ["prometheus"] : []),
  ];
}

/** Models on the hub that the user has the engine load besides, as `runtime/fetch_model.py` takes them. */
function moreModels(config: DeploymentConfig, pools: readonly PoolConfig[]): string[] {
  return otherModels(config, pools)
    .filter(({ name, revision = "" }) => modelSource(name) === "hub" && /^[\w./-]*$/.test(revision))
    .map(({ name, revision }) => (revision === undefined ? name : `${name}@${revision}`));
}

/**
 * @param model How the shell is told the model. Default: by its name.
 * @param pools Those whose workers the nodes run. Default: all.
 */
export function setupCommand(
  config: DeploymentConfig,
  services: NodeServices,
  model = quoted(config.model),
  pools: readonly PoolConfig[] = config.pools,
): string {
  const { engine, kvOffload, model: name, modelRevision } = config;
  const wanted = serviceNames(services);
  const more = moreModels(config, pools);
  const isFetched = engine !== "mocker" && modelSource(name) === "hub";
  const own = engine === "mocker" ? "" : ` --engine ${engine}`;
  const options = [
    `--dynamo ${VERSIONS.dynamo} --supervisor ${VERSIONS.supervisor}${own}`,
    ...(engine === "vllm" && kvOffload.hostMemoryGB !== undefined ? [`--kvbm ${VERSIONS.dynamo}`] : []),
    [
      ...(wanted.length === 0 ? [] : [`--services ${quoted(wanted.join(" "))}`]),
      ...(isFetched ? [`--model ${model}`] : []),
    ].join(" "),
    ...(isFetched && modelRevision !== undefined ? [`--revision ${quoted(modelRevision)}`] : []),
    ...(more.length > 0 ? [`--also ${quoted(more.join(" "))}`] : []),
  ];
  return `bash ${RUNTIME}/setup.sh ${options.filter(Boolean).join(" \\\n  ")}\n`;
}
