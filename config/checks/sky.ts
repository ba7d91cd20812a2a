/** What is handed to SkyPilot: the registry's login, and its own configuration. */
import { isSlurm } from "../infra";
import type { Problem, SettingPath } from "../problems";
import { show } from "../values";
import type { Known } from ".";

export function skyChecks(known: Known): Problem[] {
  return [...registryProblems(known), ...configProblems(["sky", "config"], known.sky?.config)];
}

function registryProblems({ sky, registryPassword, target }: Known): Problem[] {
  if (sky === undefined) return [];
  const { registry, infra } = sky;
  if (registry === undefined) {
    if (registryPassword === undefined) return [];
    const message =
      "has no effect without sky.registry, which says where it is for. Set that, or remove this.";
    return [{ path: ["registryPassword"], message }];
  }
  const path = ["sky", "registry"];
  if (registryPassword === undefined) {
    const message =
      "needs a password. Run: pulumi config set --secret dynamo-sky:registryPassword (it asks for the value).";
    return [{ path, message }];
  }
  if (target === "local" || infra.some(isSlurm)) {
    const message = `has no effect ${target === "local" ? "on target local" : "on Slurm"}, where no image is pulled. Remove it.`;
    return [{ path, message }];
  }
  return [];
}

/** Settings of SkyPilot whose text it puts into shell commands or batch scripts as it is, by their last part. */
const AS_IT_IS = new Set(["run_options", "sbatch_options"]);
const PLAIN = /^[\w .,:=/@%+-]*$/;

/** Settings that would open a port of a node to whoever reaches the machine. */
const OPENS_PORTS = new Set(["hostPort", "externalIPs", "loadBalancerIP"]);

function configProblems(path: SettingPath, value: unknown): Problem[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, part]): Problem[] => {
    const here = [...path, Array.isArray(value) ? Number(key) : key];
    if (OPENS_PORTS.has(key)) {
      const message = `${show(part)} opens a port of the node by another way than the endpoint's, around the gateway. Remove it; sky.openEndpoint opens the endpoint.`;
      return [{ path: here, message }];
    }
    return AS_IT_IS.has(key) ? textsIn(here, part).flatMap(shellProblems) : configProblems(here, part);
  });
}

function shellProblems({ path, text }: { readonly path: SettingPath; readonly text: string }): Problem[] {
  if (/(^|\s)(-p|--publish|-P|--publish-all)(\s|=|\d|$)/.test(text)) {
    const message = `${show(text)} publishes ports of the container, around the gateway. Remove it; sky.openEndpoint opens the endpoint.`;
    return [{ path, message }];
  }
  if (PLAIN.test(text)) return [];
  const message = `${show(text)} goes into a shell command of SkyPilot as it is. Allowed: letters, digits, spaces and . , : = / @ % + - _`;
  return [{ path, message }];
}

function textsIn(path: SettingPath, value: unknown): { readonly path: SettingPath; readonly text: string }[] {
  if (typeof value === "string") return [{ path, text: value }];
  if (typeof value !== "object" || value === null) return [];
  // Keys of an object become names of options.
  return Object.entries(value).flatMap(([key, part]) => {
    const here = [...path, Array.isArray(value) ? Number(key) : key];
    const name = Array.isArray(value) ? [] : [{ path: here, text: key }];
    return [...name, ...textsIn(here, part)];
  });
}
