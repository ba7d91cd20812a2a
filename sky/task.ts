/**
 * A cluster of the plan → a SkyPilot task. Pure. The task is complete: `sky launch -c NAME FILE` runs it
 * without this program. Fields: https://docs.skypilot.co/en/latest/reference/yaml-spec.html
 */

import { areUsualKeys } from "../config/access";
import { dynamoImage } from "../config/checks/image";
import type { DeploymentConfig, PoolConfig } from "../config/deployment";
import { type Image, machineImages, programsImage } from "../config/images";
import { hasNetworkTiers, runsContainers, takesRdmaByMachineImage } from "../config/infra";
import { directoryOf, modelSource } from "../config/model";
import { quotedSkyConfig } from "../config/skyText";
import { LOWEST_DRIVER } from "../config/versions";
import { engines, SIMULATED } from "../engines";
import type { Engine } from "../engines/engine";
import { nixlBackend } from "../engines/transfer";
import { OWN_GPUS } from "../lib/placeholders";
import { compactPlan } from "../plan/compact";
import { isEncrypted } from "../plan/context";
import { DEFAULT_DISK_GB } from "../plan/hub";
import { bucketsOf } from "../plan/otherModels";
import { API_KEYS, TLS_BUNDLE } from "../plan/programs/gateway";
import type { ClusterPlan, ProgramRole } from "../plan/types";
import { taskConfig } from "./rootUser";
import type { NodeServices } from "./setup";
import { BROUGHT, BUCKETS, REGISTRY_SECRETS, RUNTIME, setupCommand } from "./setup";
import type { SkyTask } from "./spec";
import { CHOICE } from "./taskName";
import type { SecretsInput } from "./taskSecrets";
import { generatedAccess, launchSecrets } from "./taskSecrets";
import { taskText } from "./taskText";

/** Input of a task. */
export interface TaskInput extends Pick<SecretsInput, "cluster" | "standalone"> {
  readonly config: DeploymentConfig;
  /** Address of the control plane, if it is on another cluster. */
  readonly controlIp?: string | undefined;
  /** Port for clients, if it is on this cluster. */
  readonly endpointPort?: number | undefined;
}

/** A cluster of control plane and frontend alone needs no engine: PyPI's packages are enough. */
function neededConfig(input: TaskInput): DeploymentConfig {
  return poolsOf(input).length === 0 ? { ...input.config, engine: SIMULATED } : input.config;
}

/**
 * Pools with workers on the cluster. Without any, no weights are needed: frontends get the tokenizer from
 * workers.
 */
function poolsOf({ cluster, config }: TaskInput): readonly PoolConfig[] {
  const roles = rolesOf(cluster);
  return config.pools.filter(({ role }) => roles.has(role));
}

function rolesOf(cluster: ClusterPlan): ReadonlySet<ProgramRole> {
  return new Set(cluster.nodes.flatMap(({ programs }) => programs.map(({ role }) => role)));
}

/**
 * Options of a cluster's machines. Disks and machines chosen for weights and GPUs do not apply to the control
 * plane's: those are left to SkyPilot, and are not larger.
 */
function machinesOf(input: TaskInput): DeploymentConfig["sky"] {
  const { sky } = input.config;
  if (poolsOf(input).length > 0) return sky;
  const { diskSizeGB = DEFAULT_DISK_GB } = sky;
  return {
    ...sky,
    diskSizeGB: diskSizeGB < DEFAULT_DISK_GB ? diskSizeGB : undefined,
    diskTier: undefined,
    instanceType: undefined,
    networkTier: undefined,
  };
}

/** The image of the nodes; undefined for SkyPilot's own image with Dynamo from PyPI. */
function imageOf(input: TaskInput): Image | undefined {
  const { image, infra } = input.config.sky;
  return image ?? (infra.every(runsContainers) ? dynamoImage(neededConfig(input).engine) : undefined);
}

/** Fields of `resources`; unset options are left to SkyPilot. */
function resources(input: TaskInput): Record<string, unknown> {
  const { cluster, endpointPort } = input;
  const sky = machinesOf(input);
  const gpus = cluster.nodes[0]?.gpus ?? 0;
  const networkTier = networkTierOf(input);
  const markets = cluster.spot?.fallback ? [{ use_spot: true }, { use_spot: false }] : undefined;
  const isOneTier = new Set(sky.infra.map(networkTier)).size <= 1;
  const fields = {
    infra: sky.infra.length === 1 ? sky.infra[0] : undefined,
    // Of several places the cheapest comes first, and with it nearly always a spot instance.
    any_of:
      sky.infra.length > 1
        ? sky.infra.flatMap((infra) =>
            (markets ?? [{}]).map((market) => ({
              infra,
              ...(isOneTier ? {} : tierField(networkTier(infra))),
              ...market,
            })),
          )
        : undefined,
    // One after the other, whatever they cost: where there are no prices, as on Kubernetes, all are equal.
    ordered: sky.infra.length > 1 ? undefined : markets,
    accelerators: cluster.accelerator === undefined ? undefined : `${cluster.accelerator}:${gpus}`,
    instance_type: sky.instanceType,
    cpus: sky.cpus,
    memory: sky.memory,
    [CHOICE]: sky.maxHourlyCost,
    use_spot: cluster.spot !== undefined && markets === undefined ? true : undefined,
    disk_size: sky.diskSizeGB,
    disk_tier: sky.diskTier,
    network_tier: isOneTier ? networkTier(sky.infra[0]) : undefined,
    image_id: imageOf(input),
    ports: sky.openEndpoint && endpointPort !== undefined ? [endpointPort] : undefined,
    labels: Object.keys(sky.labels).length > 0 ? sky.labels : undefined,
    autostop:
      sky.autostopMinutes === undefined
        ? undefined
        : { idle_minutes: sky.autostopMinutes, down: sky.autostopDown },
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/**
 * Network tier to request on an infra, or where SkyPilot chooses the infra: by default RDMA for KV transfer
 * between nodes, where available.
 */
function networkTierOf(input: TaskInput): (infra: string | undefined) => string | undefined {
  const wantsRdma = input.cluster.nodes.length > 1;
  const { networkTier, image } = machinesOf(input);
  const isMachines = machineImages(image).length > 0;
  const gives = (infra: string) => hasNetworkTiers(infra) && (!isMachines || takesRdmaByMachineImage(infra));
  return (infra) => networkTier ?? (wantsRdma && (infra === undefined || gives(infra)) ? "best" : undefined);
}

function tierField(tier: string | undefined): { readonly network_tier?: string } {
  return tier === undefined ? {} : { network_tier: tier };
}

/** Fields of `resources` that can change on a running cluster, and cost nothing. */
const CHANGEABLE = ["autostop", "labels", "ports"];

/**
 * The inputs whose change replaces the cluster: its nodes and their kind. Everything else is updated in
 * place.
 */
export function taskIdentity(input: TaskInput): Readonly<Record<string, unknown>> {
  return machinesAlone(input, [...CHANGEABLE, CHOICE]);
}

/** What SkyPilot is asked for the prices of: the nodes, their kind, and what limits the choice. */
export function pricedTask(input: TaskInput): Readonly<Record<string, unknown>> {
  return machinesAlone(input, CHANGEABLE);
}

/** The part of a task that says which machines. @param without Fields of `resources`. */
function machinesAlone(input: TaskInput, without: readonly string[]): Readonly<Record<string, unknown>> {
  const fixed = Object.entries(resources(input)).filter(([field]) => !without.includes(field));
  const { config, volumes } = input.config.sky;
  return {
    num_nodes: input.cluster.nodes.length,
    resources: Object.fromEntries(fixed),
    // SkyPilot reads it only when it creates machines or pods.
    ...(config === undefined ? {} : { config }),
    ...(Object.keys(volumes).length === 0 ? {} : { volumes }),
  };
}

/**
 * Names of the task's secrets: those of its programs that a launch must provide, and the registry's login,
 * which only SkyPilot uses. SkyPilot requires all parts of the login in the same place.
 */
export function taskSecretNames(input: TaskInput): string[] {
  return [...launchSecrets(secretsInput(input)), ...registrySecrets(input.config)].toSorted();
}

/**
 * Configuration of the gateway's own secrets: several keys have names, and a certificate from the user is not
 * generated.
 */
function secretsInput(input: TaskInput): SecretsInput {
  const { keys, retiredKeys, tls } = input.config.access;
  const isOneKey = areUsualKeys(keys) && retiredKeys.length === 0;
  return {
    ...input,
    brought: [...(isOneKey ? [] : [API_KEYS]), ...(tls.mode === "own" ? [TLS_BUNDLE] : [])],
  };
}

/** Names of the gateway's secrets that the nodes generate if a launch does not provide them. */
export function madeOnNode(input: TaskInput): string[] {
  return generatedAccess(secretsInput(input));
}

/** SkyPilot puts them into the task's environment too. */
function registrySecrets({ sky }: DeploymentConfig): string[] {
  return sky.registry === undefined ? [] : Object.values(REGISTRY_SECRETS);
}

/** Environment variable with the model of a recipe: `--env MODEL=…` overrides it. */
const MODEL = "MODEL";

/** The task without the files of `runtime/` and of the deployment, which a launch adds. */
export function skyTask(input: TaskInput): SkyTask {
  const { cluster, config, controlIp, standalone = false } = input;
  const { sky, model } = config;
  const secrets = taskSecretNames(input);
  const pools = poolsOf(input);
  const buckets = pools.length === 0 ? [] : bucketsOf(config, pools);
  const takesModel = standalone && modelSource(model) === "hub";
  const envs = { ...(takesModel ? { [MODEL]: model } : {}), ...sky.envs };
  const files = Object.keys(config.files);
  const mounts = {
    ...Object.fromEntries(
      buckets.map((source) => [`${BUCKETS}/${directoryOf(source)}`, { source, mode: "COPY" }]),
    ),
    ...sky.fileMounts,
  };
  const own = taskConfig(sky, programsImage(imageOf(input)));
  const withEngine = cluster.nodes.filter(({ programs }) => programs.some(({ gpus }) => gpus.length > 0));
  const ranks = withEngine.length < cluster.nodes.length ? withEngine.map(({ rank }) => rank) : undefined;
  return {
    num_nodes: cluster.nodes.length,
    resources: resources(input),
    ...(own === undefined ? {} : { config: quotedSkyConfig(own) }),
    ...(Object.keys(envs).length > 0 ? { envs } : {}),
    ...(secrets.length > 0 ? { secrets } : {}),
    // Copied once per node, so that all its workers read the weights from disk.
    ...(Object.keys(mounts).length > 0 ? { file_mounts: mounts } : {}),
    ...(Object.keys(sky.volumes).length > 0 ? { volumes: { ...sky.volumes } } : {}),
    setup: setupCommand(neededConfig(input), servicesOf(input), {
      model: takesModel ? `"$${MODEL}"` : undefined,
      pools,
      ranks,
    }),
    run: {
      options: [
        ...(standalone ? ["--standalone"] : []),
        ...(controlIp === undefined ? [] : ["--control-ip", controlIp]),
        ...(buckets.length === 0 ? [] : ["--models", buckets.map(directoryOf).join(",")]),
        ...(files.length === 0 || !standalone ? [] : ["--files", files.toSorted().join(",")]),
        ...nodeCheck(input),
      ],
      plan: compactPlan(cluster, takesModel ? model : undefined),
    },
  };
}

function servicesOf(input: TaskInput): NodeServices {
  const roles = rolesOf(input.cluster);
  return {
    controlPlane: roles.has("etcd") || roles.has("nats"),
    gateway: roles.has("gateway"),
    planner: roles.has("planner"),
    prometheus: roles.has("prometheus"),
    certificates: madeOnNode(input).includes(TLS_BUNDLE) || isEncrypted(input.config),
  };
}

/** Names of the secrets that a launch itself needs, without those that programs have. */
export function launchedSecretNames({ config }: TaskInput): string[] {
  return registrySecrets(config).toSorted();
}

/**
 * The task of `up`: the same nodes, programs and runtime, without a plan and without weights, so that a
 * change of those starts no task. The nodes are given their units and secrets afterwards, and keep them; a
 * node gets weights with its first engine.
 */
export function launchedTask(input: TaskInput): SkyTask {
  const { run, secrets: _, ...rest } = skyTask(input);
  const secrets = launchedSecretNames(input);
  const options = typeof run === "object" ? run.options : [];
  const { gpus } = input.cluster.nodes[0] ?? { gpus: 0 };
  return {
    ...rest,
    ...(secrets.length > 0 ? { secrets } : {}),
    setup: setupCommand(neededConfig(input), servicesOf(input)),
    // All of a node's GPUs are checked: which of them are used is not known to the task, and may change.
    run: { options: ["--keep", ...options, ...(hasRealEngines(input) ? ["--gpus", String(gpus)] : [])] },
  };
}

/** Whether programs use GPUs, as mockers do not. */
function hasRealEngines({ cluster }: TaskInput): boolean {
  return cluster.nodes.some(({ programs }) =>
    programs.some(({ env }) => Object.values(env).includes(OWN_GPUS)),
  );
}

/**
 * What `runtime/node_check.py` demands of nodes before engines start on GPUs. Which driver an image of the
 * user's needs is not known.
 */
function nodeCheck(input: TaskInput): string[] {
  const { config, cluster } = input;
  if (!hasRealEngines(input)) return [];
  const programs = cluster.nodes.flatMap((node) => node.programs);
  const { image, rdma, networkTier } = config.sky;
  // On one node GPUs reach each other without a network.
  const isSpread =
    (cluster.nodes.length > 1 || config.placement === "dedicated") &&
    programs.some(({ role, rank }) => rank > 0 || role === "prefill" || role === "decode");
  const hasTransfer = programs.some(({ role }) => role === "prefill" || role === "decode");
  const { transfer }: Engine = engines[config.engine];
  const nixl = hasTransfer && transfer !== undefined ? nixlBackend(transfer, config.kvTransfer) : undefined;
  const isRequired = (rdma ?? (networkTier === "best" ? "required" : "optional")) === "required";
  return [
    ...(image === undefined ? ["--driver", String(LOWEST_DRIVER)] : []),
    ...(isSpread ? ["--rdma", isRequired ? "required" : "expected"] : []),
    ...(nixl === undefined ? [] : ["--nixl", nixl]),
  ];
}

/**
 * The task as a recipe: it is complete, and `sky launch -c NAME FILE` runs it without this program.
 * @param runtime Path of the directory `runtime/`; a relative path is resolved against the working directory
 * of `sky launch`.
 */
export function recipeText(input: TaskInput, runtime: string, heading?: string): string {
  const task = withRuntime(skyTask(input), runtime);
  const files = Object.entries(input.config.files).map(([name, path]) => [
    `${BROUGHT}/${name}`,
    localPath(path),
  ]);
  const mounts = { ...task.file_mounts, ...Object.fromEntries(files) };
  return taskText({ ...task, file_mounts: mounts }, heading);
}

/** SkyPilot rejects paths that end with a slash. */
function localPath(path: string): string {
  return path.replace(/(?<=.)\/+$/, "");
}

/** The task with the files that its nodes run. */
export function withRuntime(task: SkyTask, runtime: string): SkyTask {
  return { ...task, file_mounts: { [RUNTIME]: runtime, ...task.file_mounts } };
}
