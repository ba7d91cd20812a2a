/**
 * The task's `setup`: the command that prepares a node, by `runtime/setup.sh`. Runs once a node, and again
 * after a change of it. Pure.
 */
import { modelSource } from "../config/model";
import { ENGINE_IMAGES, IMAGE_REGISTRY, VERSIONS } from "../config/versions";
import { NODE_FILES } from "../lib/placeholders";
import { quoted } from "../lib/shell";
import type { DeploymentConfig } from "../plan/config";
import { engines } from "../plan/engines";
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

/** Models on the hub that the engine drafts tokens with: fetched once a node too, not by every worker. */
function draftModels({ engine, engineArgs, pools }: DeploymentConfig): string[] {
  const lists = [engineArgs, ...pools.map((pool) => pool.engineArgs)];
  const named = lists.flatMap((args) => engines[engine].draftModels?.(args) ?? []);
  return [...new Set(named)].filter((name) => HUB_NAME.test(name));
}

/** `owner/name`, and nothing that a shell would take apart. */
const HUB_NAME = /^[\w.-]+\/[\w.-]+$/;

/** @param model How the shell is told the model. Default: by its name. */
export function setupCommand(
  config: DeploymentConfig,
  services: NodeServices,
  model = quoted(config.model),
): string {
  const { engine, model: name, modelRevision } = config;
  const wanted = serviceNames(services);
  const drafts = draftModels(config);
  const isFetched = engine !== "mocker" && modelSource(name) === "hub";
  const own = engine === "mocker" ? "" : ` --engine ${engine}`;
  const options = [
    `--dynamo ${VERSIONS.dynamo} --supervisor ${VERSIONS.supervisor}${own}`,
    [
      ...(wanted.length === 0 ? [] : [`--services ${quoted(wanted.join(" "))}`]),
      ...(isFetched ? [`--model ${model}`] : []),
    ].join(" "),
    ...(isFetched && modelRevision !== undefined ? [`--revision ${quoted(modelRevision)}`] : []),
    ...(drafts.length > 0 ? [`--draft ${quoted(drafts.join(" "))}`] : []),
  ];
  return `bash ${RUNTIME}/setup.sh ${options.filter(Boolean).join(" \\\n  ")}\n`;
}
