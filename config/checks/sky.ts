/** Checks of SkyPilot's input: variables of its task, and its own configuration. */
import type { Problem, SettingPath } from "../problems";
import { skyTextProblems } from "../skyText";
import { show } from "../values";
import type { Known } from ".";

export function skyChecks(known: Known): Problem[] {
  const [path, config] = [["sky", "config"], known.sky?.config];
  return [...variableProblems(known), ...portProblems(path, config), ...skyTextProblems(path, config)];
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
