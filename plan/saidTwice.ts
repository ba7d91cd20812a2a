/** Settings that are also said by the flag, the variable or the key that the plan makes of them. */
import type { DeploymentConfig, PoolConfig } from "../config/deployment";
import { show } from "../config/values";

const OF_POOL = "pools[].";

/**
 * A setting's value, for the workers of a pool: `pools[].role`, `router.mode`. Without a pool those of pools
 * are unknown.
 */
export function settingOf(config: DeploymentConfig, pool: PoolConfig | undefined, setting: string): unknown {
  return setting
    .replace(OF_POOL, "")
    .split(".")
    .reduce<unknown>(
      (value, part) => (typeof value === "object" && value !== null ? Reflect.get(value, part) : undefined),
      setting.startsWith(OF_POOL) ? pool : config,
    );
}

/** Whether the plan makes anything of the value. */
export const isUsed = (value: unknown): boolean => value !== undefined && value !== false;

/** Why `name` cannot stay beside the setting; undefined if the setting is not used. */
export function saidTwice(name: string, setting: string, value: unknown): string | undefined {
  if (!isUsed(value)) return undefined;
  return `${name} says what ${setting} sets, which is ${show(value)}, and only one of the two can hold. Remove one of them.`;
}
