/**
 * What SkyPilot 0.14.1 would find wrong with a volume during the launch: `resolve_and_validate_volumes` of
 * https://github.com/skypilot-org/skypilot/blob/v0.14.1/sky/task.py, `VolumeMount` of
 * https://github.com/skypilot-org/skypilot/blob/v0.14.1/sky/utils/volume.py, and for Slurm
 * `_validate_pyxis_mount_path` of
 * https://github.com/skypilot-org/skypilot/blob/v0.14.1/sky/provision/slurm/instance.py.
 */
import { programsImage } from "../images";
import { infraKind, isSlurm } from "../infra";
import { type HostVolume, isHostVolume, type NewVolume, type Volume } from "../mounts";
import type { Problem, SettingPath } from "../problems";
import { didYouMean, listed, nearest, show } from "../values";
import type { Known } from ".";
import { severalNodes } from "./infra";

/** `SUB_PATH_PATTERN` and `MEMORY_SIZE_PATTERN` of sky/skylet/constants.py. */
const SUB_PATH = /^[a-zA-Z0-9._-][a-zA-Z0-9./_-]*$/;
const SIZE = /^0*[1-9]\d*(([kmgtp][bi])|([KMGTP]([BI]|[bi])))?$/;
const PYXIS_PATH = /^\/([A-Za-z0-9._~+@%=/-]|\$[A-Za-z_][A-Za-z0-9_]*)*$/;

const CLAIM = "k8s-pvc";
export const CLAIM_KEYS = [
  "storage_class_name",
  "access_mode",
  "namespace",
  "host_path",
  "cleanup_on_deletion",
] as const;
export const ACCESS_MODES = ["ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany", "ReadOnlyMany"] as const;

export function volumeProblems(volumes: Readonly<Record<string, Volume>>, known: Known): Problem[] {
  return Object.entries(volumes).flatMap(([at, volume]) => {
    const path = ["sky", "volumes", at];
    if (typeof volume === "string") return [];
    if (isHostVolume(volume)) return hostProblems(path, at, volume, known);
    return "size" in volume ? newProblems(path, volume, known) : subPathProblems(path, volume.sub_path);
  });
}

function subPathProblems(path: SettingPath, subPath: string | undefined): Problem[] {
  if (subPath === undefined || (SUB_PATH.test(subPath) && !subPath.split("/").includes(".."))) return [];
  const message = `${show(subPath)} is not a path in a volume. Allowed: letters, digits and . _ - /, without a / at its start and without a part "..".`;
  return [{ path: [...path, "sub_path"], message }];
}

function hostProblems(path: SettingPath, at: string, volume: HostVolume, { sky }: Known): Problem[] {
  const { host_path: host, mode = "ro" } = volume;
  const { infra = [], image } = sky ?? {};
  const problems: Problem[] = [];
  const say = (key: string | undefined, message: string) =>
    problems.push({ path: key === undefined ? path : [...path, key], message });
  const allowed = "letters, digits and . _ ~ + @ % = / -, and variables such as $USER";
  if (!PYXIS_PATH.test(host) || host === "/")
    say(
      "host_path",
      `${show(host)} cannot be mounted. Allowed: a path from / on, but not / itself; ${allowed}.`,
    );
  if (!PYXIS_PATH.test(at))
    say(
      undefined,
      `${show(at)} cannot be a directory's place on Slurm. Allowed: a path from / on; ${allowed}.`,
    );
  if (mode !== "ro" && mode !== "rw")
    say("mode", `${show(mode)} is no mode. Allowed: ro, which is the default, and rw.`);
  if (infra.length === 0 || !infra.every(isSlurm))
    say(
      "host_path",
      "is a directory of the machines, which SkyPilot mounts on Slurm alone. Set sky.infra to slurm/CLUSTER, or take this out.",
    );
  else if (programsImage(image)?.startsWith("docker:") !== true)
    say(
      "host_path",
      "is mounted into a container, and nodes of Slurm run none by default: there, programs see the machine's own directories. Remove it, or set sky.image (docker:…).",
    );
  return problems;
}

function newProblems(path: SettingPath, { size, type, config = {} }: NewVolume, known: Known): Problem[] {
  const problems: Problem[] = [];
  const say = (keys: readonly string[], message: string) =>
    problems.push({ path: [...path, ...keys], message });
  const elsewhere = (known.sky?.infra ?? []).filter((one) => infraKind(one) !== "Kubernetes");
  if (elsewhere.length > 0)
    say(
      [],
      `asks ${show(elsewhere[0])} for a volume that goes with the cluster, which SkyPilot makes on Kubernetes alone. Make it with \`sky volumes apply\` and give its name, or remove it.`,
    );
  if (!SIZE.test(size))
    say(["size"], `${show(size)} is not a size. Allowed: gigabytes, or with a unit, such as 100Gi or 1TB.`);
  if (type !== undefined && type.toLowerCase() !== CLAIM)
    say(["type"], `${show(type)} is no type of a volume that goes with the cluster. Allowed: ${CLAIM}.`);
  for (const key of Object.keys(config)) {
    if (CLAIM_KEYS.some((one) => one === key)) continue;
    const near = nearest(key, CLAIM_KEYS);
    const hint = didYouMean(near);
    say(["config", key], `is unknown to SkyPilot. Allowed: ${listed(CLAIM_KEYS)}.${hint}`);
  }
  const { access_mode: access = "ReadWriteOnce" } = config;
  if (!ACCESS_MODES.some((one) => one === access))
    say(["config", "access_mode"], `${show(access)} is no way of access. Allowed: ${listed(ACCESS_MODES)}.`);
  else if (severalNodes(known) !== undefined && /^ReadWriteOnce/.test(String(access)))
    say(
      ["config", "access_mode"],
      `is ${access}${config["access_mode"] === undefined ? " by default" : ""}, and only one node can mount such a volume. Set it to ReadWriteMany, or use one node.`,
    );
  return problems;
}
