/**
 * SkyPilot's own configuration of a task: only keys that SkyPilot accepts in a task, and no pod user without
 * the required rights.
 */
import { cloudOf, kubernetesSections } from "../infra";
import { podUsers } from "../podConfig";
import type { Problem, SettingPath } from "../problems";
import { listed, nearest, show } from "../values";
import type { Known } from ".";
import { isDynamoImage } from "./image";

/**
 * `OVERRIDEABLE_CONFIG_KEYS_IN_TASK` of
 * https://github.com/skypilot-org/skypilot/blob/v0.14.1/sky/skylet/constants.py, and `hooks`, which exists in
 * tasks only. SkyPilot silently drops all others, or rejects them at the launch.
 */
export const TASK_CONFIG_KEYS = [
  "active_workspace",
  "azure.remote_identity",
  "azure.vpc_name",
  "docker.run_options",
  "gcp.enable_gpu_direct",
  "gcp.enable_gvnic",
  "gcp.managed_instance_group",
  "gcp.placement_policy",
  "gcp.subnet_names",
  "gcp.vpc_name",
  "hooks",
  "kubernetes.custom_metadata",
  "kubernetes.dws",
  "kubernetes.enable_docker",
  "kubernetes.kueue",
  "kubernetes.pod_config",
  "kubernetes.provision_timeout",
  "kubernetes.quota",
  "kubernetes.remote_identity",
  "kubernetes.set_pod_resource_limits",
  "nvidia_gpus.disable_ecc",
  "slurm.cpu_partition",
  "slurm.quota",
  "slurm.sbatch_options",
  "ssh.custom_metadata",
  "ssh.pod_config",
  "ssh.provision_timeout",
  "vast.create_instance_kwargs",
  "vast.datacenter_only",
] as const;

const KEYS: readonly string[] = TASK_CONFIG_KEYS;

export function skyConfigChecks({ sky, target, engine }: Known): Problem[] {
  if (sky?.config === undefined || target === "local") return [];
  return [
    ...keyProblems(sky.config),
    ...idleSections(sky.config, sky.infra),
    ...(engine === "mocker" ? [] : userProblems(sky.config, sky)),
  ];
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function keyProblems(config: unknown, path: readonly string[] = []): Problem[] {
  if (!isObject(config)) {
    // A key that must hold an object, with something else in it.
    const message = `${show(config)} is not an object. Allowed: an object with keys of SkyPilot's config.yaml.`;
    return [{ path: ["sky", "config", ...path], message }];
  }
  return Object.entries(config).flatMap(([key, value]): Problem[] => {
    const here = [...path, key];
    const name = here.join(".");
    if (KEYS.includes(name)) return [];
    if (KEYS.some((allowed) => allowed.startsWith(`${name}.`))) return keyProblems(value, here);
    return [{ path: ["sky", "config", ...here], message: notTaken(name, path) }];
  });
}

function notTaken(name: string, path: readonly string[]): string {
  const near = nearest(name, KEYS);
  const siblings = KEYS.filter((key) => key.startsWith(path.map((part) => `${part}.`).join("")));
  const hint = near === undefined ? `Allowed: ${listed(siblings)}` : `Did you mean ${show(near)}?`;
  return `SkyPilot does not take this from a task. ${hint}${near === undefined ? "." : ""} Put all else into SkyPilot's own ~/.sky/config.yaml, or that of its API server.`;
}

/** Sections for one cloud only. */
const CLOUD_SECTIONS: Readonly<Record<string, readonly string[]>> = {
  azure: ["azure"],
  gcp: ["gcp"],
  kubernetes: ["kubernetes", "k8s"],
  slurm: ["slurm"],
  ssh: ["ssh"],
  vast: ["vast"],
};

function idleSections(config: object, infra: readonly string[]): Problem[] {
  const clouds = infra.map(cloudOf);
  if (clouds.length === 0 || clouds.includes("*")) return [];
  return Object.keys(config).flatMap((section): Problem[] => {
    const own = CLOUD_SECTIONS[section];
    if (own === undefined || own.some((cloud) => clouds.includes(cloud))) return [];
    const message = `has no effect: none of sky.infra (${infra.join(", ")}) is ${section}. Remove it, or add that infra.`;
    return [{ path: ["sky", "config", section], message }];
  });
}

/** Without root or sudo SkyPilot gives up on a running pod, and NVIDIA's images have no sudo. */
function userProblems(config: object, { infra, image }: NonNullable<Known["sky"]>): Problem[] {
  if (image !== undefined && !isDynamoImage(image)) return [];
  return kubernetesSections(infra)
    .flatMap((section) => podUsers(config, section))
    .map(({ path, value }) => ({
      path: ["sky", "config", ...path] satisfies SettingPath,
      message: `${show(value)} makes the pod's user another one than root, and SkyPilot needs root or sudo in a pod, which NVIDIA's image does not have. Remove it, or set sky.image to an image with sudo for its user.`,
    }));
}
