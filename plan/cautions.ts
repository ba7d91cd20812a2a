/** Warnings about a valid deployment, printed by every preview. Pure. */

import type { DeploymentConfig } from "../config/deployment";
import { type IgnoredSetting, ignores } from "../config/infra";
import { isScaled } from "../config/pools";
import { skySchema } from "../config/sky";
import { listed } from "../config/values";
import { engines } from "../engines";
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
    ...(config.target === "sky" ? ignoredSettings(config) : idleSettings(config)),
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
