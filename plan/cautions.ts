/** Warnings about a valid deployment, printed by every preview. Pure. */

import type { DeploymentConfig } from "../config/deployment";
import { type IgnoredSetting, ignores } from "../config/infra";
import { isScaled } from "../config/pools";
import { skySchema } from "../config/sky";
import { listed } from "../config/values";
import { engines, isSimulated } from "../engines";
import type { DeploymentPlan } from "./types";
import { programsOf } from "./types";

const OPEN_INSIDE =
  "The endpoint asks nobody in the cluster's network for a key, and speaks plain HTTP (dynamo-sky:access.gateway: false).";

/** In the order of output. */
export function cautionsOf(
  config: DeploymentConfig,
  { clusters }: Pick<DeploymentPlan, "clusters">,
): string[] {
  const programs = programsOf({ clusters });
  return [
    ...(config.target === "sky" && !config.access.gateway ? [OPEN_INSIDE] : []),
    ...(programs.some(({ lockstep }) => lockstep !== undefined)
      ? (engines[config.engine].cautionAcrossNodes ?? [])
      : []),
    ...operated(config),
    ...shortRest(config),
    ...(config.target === "sky"
      ? [...ignoredSettings(config), ...relativePaths(config)]
      : idleSettings(config)),
  ];
}

/** What nobody does unless a process does it all the time. */
function operated({ pools, schedule, idle }: DeploymentConfig): string[] {
  const said = [
    ...(pools.some(isScaled) ? ["maxReplicas"] : []),
    ...(schedule.length > 0 ? ["schedule"] : []),
    ...(idle.afterMinutes === undefined ? [] : ["idle.afterMinutes"]),
  ];
  if (said.length === 0) return [];
  return [`dynamo-sky:${listed(said)}: done by \`dynamo-sky operate\` alone, which has to run all the time.`];
}

/** A start that loads weights takes minutes. */
const SHORTEST_REST_MINUTES = 5;

function shortRest({ idle: { afterMinutes }, engine }: DeploymentConfig): string[] {
  if (afterMinutes === undefined || afterMinutes >= SHORTEST_REST_MINUTES || isSimulated(engine)) return [];
  return [
    `dynamo-sky:idle.afterMinutes: ${afterMinutes} is less than a start takes, which loads weights: whoever waits for it has to ask at once, or finds it down again. ${SHORTEST_REST_MINUTES} or more is better.`,
  ];
}

/** What is said of SkyPilot where it is not asked: a deployment may be tried here before it goes there. */
function idleSettings({ sky }: DeploymentConfig): string[] {
  const usual: Readonly<Record<string, unknown>> = skySchema.parse({});
  const said = Object.entries(sky)
    .filter(([key, value]) => JSON.stringify(value) !== JSON.stringify(usual[key]))
    .map(([key]) => `sky.${key}`);
  if (said.length === 0) return [];
  const verb = said.length === 1 ? "has" : "have";
  return [`dynamo-sky:${listed(said)} ${verb} no effect on target local, where SkyPilot is not asked.`];
}

/** Settings that SkyPilot takes and drops, which nobody would find out before something is missed. */
function ignoredSettings({ sky }: DeploymentConfig): string[] {
  const { labels, diskSizeGB, config, infra } = sky;
  const asked: readonly (readonly [IgnoredSetting, key: string, isAsked: boolean])[] = [
    ["labels", "labels", Object.keys(labels).length > 0],
    ["diskSize", "diskSizeGB", diskSizeGB !== undefined],
    ["runOptions", "config.docker.run_options", config?.["docker"] !== undefined],
  ];
  return asked.flatMap(([setting, key, isAsked]): string[] => {
    const without = infra.filter((one) => ignores(one, setting));
    if (!isAsked || without.length === 0) return [];
    return [`dynamo-sky:sky.${key} has no effect on ${listed(without)}: SkyPilot leaves it out there.`];
  });
}

/** A file of this machine, named as for a command here, is not on a node; no shell expands the `~` there. */
function relativePaths({ engineArgs, pools, frontend }: DeploymentConfig): string[] {
  const lists: readonly (readonly [key: string, words: readonly string[]])[] = [
    ["engineArgs", engineArgs],
    ...pools.map((pool, index) => [`pools[${index}].engineArgs`, pool.engineArgs] as const),
    ["frontend.args", frontend.args],
  ];
  return lists.flatMap(([key, words]) =>
    words
      .filter((word) => /^(--?[\w.-]+=)?(\.{1,2}|~)\//.test(word))
      .map(
        (word) =>
          `dynamo-sky:${key} has ${JSON.stringify(word)}, a path on the nodes. A file of this machine: name it in dynamo-sky:files, and write {{FILES}}/NAME.`,
      ),
  );
}
