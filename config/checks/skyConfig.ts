/**
 * SkyPilot's own configuration of a task: only keys that SkyPilot accepts in a task, and no pod user without
 * the required rights.
 */
import { isSimulated } from "../../engines";
import { programsImage } from "../images";
import { cloudOf, kubernetesSections } from "../infra";
import { podUsers, unknownPodKeys } from "../podConfig";
import type { Problem, SettingPath } from "../problems";
import { isRootUser, RUN_OPTIONS, userOfRunOptions } from "../runOptions";
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
    ...podProblems(sky.config),
    ...(engine !== undefined && isSimulated(engine) ? [] : userProblems(sky.config, sky)),
  ];
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A key that SkyPilot does not take, or what is no object where one has to be. */
interface Wrong {
  readonly path: readonly string[];
  readonly value: unknown;
  readonly isKey: boolean;
}

function wrongIn(config: unknown, path: readonly string[] = []): Wrong[] {
  if (!isObject(config)) return [{ path, value: config, isKey: false }];
  return Object.entries(config).flatMap(([key, value]): Wrong[] => {
    const here = [...path, key];
    const name = here.join(".");
    if (KEYS.includes(name)) return [];
    if (KEYS.some((allowed) => allowed.startsWith(`${name}.`))) return wrongIn(value, here);
    return [{ path: here, value, isKey: true }];
  });
}

const ELSEWHERE = "Put all else into SkyPilot's own ~/.sky/config.yaml, or that of its API server.";

/** What is allowed is listed once. */
function keyProblems(config: unknown): Problem[] {
  const wrong = wrongIn(config);
  const groupOf = ({ path }: Wrong) => path.slice(0, -1).join(".");
  const first = (one: Wrong) =>
    wrong
      .filter((other) => other.isKey && nearKey(other) === undefined && groupOf(other) === groupOf(one))
      .map(({ path }) => path.join("."))
      .toSorted()[0];
  return wrong.map((one) => ({
    path: ["sky", "config", ...one.path],
    message: notTaken(one, groupOf(one), first(one) === one.path.join(".")),
  }));
}

/**
 * The key that was meant: a similar one of its group, its group misspelt, or the same one at another place.
 * Whole names are not compared: most of a long one is its group's.
 */
function nearKey({ path }: Wrong): string | undefined {
  const last = path.at(-1) ?? "";
  const group = path.slice(0, -1).join(".");
  const below = (above: string) =>
    KEYS.filter((key) => key.startsWith(`${above}.`)).map((key) => key.slice(above.length + 1));
  const near = nearest(
    last,
    group === "" ? [...GROUPS, ...KEYS.filter((key) => !key.includes("."))] : below(group),
  );
  if (near !== undefined) return group === "" ? near : `${group}.${near}`;
  return KEYS.find((key) => key.endsWith(`.${last}`));
}

const GROUPS = [
  ...new Set(KEYS.flatMap((key) => (key.includes(".") ? [key.slice(0, key.indexOf("."))] : []))),
];

function notTaken(wrong: Wrong, group: string, lists: boolean): string {
  if (!wrong.isKey)
    return `${show(wrong.value)} is not an object. Allowed: an object with keys of SkyPilot's config.yaml.`;
  const near = nearKey(wrong);
  if (near !== undefined)
    return `SkyPilot does not take this from a task. Did you mean ${show(near)}? ${ELSEWHERE}`;
  if (!lists) return "SkyPilot does not take this from a task either.";
  const siblings = KEYS.filter((key) => group === "" || key.startsWith(`${group}.`));
  return `SkyPilot does not take this from a task. Allowed: ${listed(siblings)}. ${ELSEWHERE}`;
}

/** Sections for the cloud of their name only. */
const CLOUD_SECTIONS: readonly string[] = ["azure", "gcp", "kubernetes", "slurm", "ssh", "vast"];

function idleSections(config: object, infra: readonly string[]): Problem[] {
  const clouds = infra.map(cloudOf);
  if (clouds.length === 0 || clouds.includes("*")) return [];
  return Object.keys(config).flatMap((section): Problem[] => {
    if (!CLOUD_SECTIONS.includes(section) || clouds.includes(section)) return [];
    const message = `has no effect: none of sky.infra (${infra.join(", ")}) is ${section}. Remove it, or add that infra.`;
    return [{ path: ["sky", "config", section], message }];
  });
}

/** SkyPilot merges them into the pod, where they are lost or refused by Kubernetes. */
function podProblems(config: object): Problem[] {
  return (["kubernetes", "ssh"] as const).flatMap((section) =>
    unknownPodKeys(config, section).map(({ path, near, keys }) => ({
      path: ["sky", "config", ...path],
      message:
        near === undefined
          ? `is nothing that a pod has. Allowed: ${listed(keys)}.`
          : `is nothing that a pod has here. Did you mean ${show(near)}?`,
    })),
  );
}

/** Without root or sudo SkyPilot gives up on a running node, and NVIDIA's images have no sudo. */
function userProblems(config: object, { infra, image: written }: NonNullable<Known["sky"]>): Problem[] {
  const image = programsImage(written);
  if (image !== undefined && !isDynamoImage(image)) return [];
  const pods = kubernetesSections(infra)
    .flatMap((section) => podUsers(config, section))
    .map(({ path, value }) => ({ path, value, where: "pod" }));
  const user = userOfRunOptions(config);
  const containers =
    user === undefined || isRootUser(user) ? [] : [{ path: RUN_OPTIONS, value: user, where: "container" }];
  return [...pods, ...containers].map(({ path, value, where }) => ({
    path: ["sky", "config", ...path] satisfies SettingPath,
    message: `${show(value)} makes the ${where}'s user another one than root, and SkyPilot needs root or sudo in a ${where}, which NVIDIA's image does not have. ${value === "0" ? "Write it without quotes: 0. Or remove it" : "Remove it"}, or set sky.image to an image with sudo for its user.`,
  }));
}
