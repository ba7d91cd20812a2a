/** Checks of SkyPilot's input: the registry login, and its own configuration. */
import { isSlurm } from "../infra";
import type { Problem, SettingPath } from "../problems";
import { skyTextProblems } from "../skyText";
import { show } from "../values";
import type { Known } from ".";

export function skyChecks(known: Known): Problem[] {
  const [path, config] = [["sky", "config"], known.sky?.config];
  return [
    ...registryProblems(known),
    ...variableProblems(known),
    ...portProblems(path, config),
    ...skyTextProblems(path, config),
  ];
}

/** Variables of a task that it sets itself, or by which it and SkyPilot find programs and files on a node. */
const OF_THE_TASK: Readonly<Record<string, string>> = {
  MODEL: "the task says there which model it serves. Remove it; use model instead",
  ...Object.fromEntries(
    ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "PWD", "IFS", "BASH_ENV", "ENV", "PYTHONHOME"].map(
      (name) => [
        name,
        "the task and SkyPilot itself find their programs and files on a node by it. Remove it; engineEnv sets it for the engine alone",
      ],
    ),
  ),
};

function variableProblems({ sky }: Known): Problem[] {
  return Object.keys(sky?.envs ?? {}).flatMap((name): Problem[] => {
    const why = Object.hasOwn(OF_THE_TASK, name) ? OF_THE_TASK[name] : undefined;
    return why === undefined
      ? []
      : [{ path: ["sky", "envs", name], message: `cannot be set for a whole node: ${why}.` }];
  });
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

/** Settings that would expose a node's port outside the cluster. */
const OPENS_PORTS = new Set(["hostPort", "externalIPs", "loadBalancerIP"]);

function portProblems(path: SettingPath, value: unknown): Problem[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, part]): Problem[] => {
    const here = [...path, Array.isArray(value) ? Number(key) : key];
    if (OPENS_PORTS.has(key)) {
      const message = `${show(part)} opens a port of the node by another way than the endpoint's, around the gateway. Remove it; sky.openEndpoint opens the endpoint.`;
      return [{ path: here, message }];
    }
    return portProblems(here, part);
  });
}
