/** `engineConfig`: keys that the plan sets, or that contradict a setting. */

import type { DeploymentConfig } from "../config/deployment";
import type { Problem, SettingPath } from "../config/problems";
import { show } from "../config/values";
import { ENGINES, engines } from "../engines";
import type { Engine, ReservedFlags } from "../engines/engine";
import { type Config, isGroup, own, type Value } from "../engines/engineConfig";
import { isUsed, saidTwice, settingOf } from "./saidTwice";

/**
 * Keys that `engineConfig` must not set: ever, or beside a setting. An engine without such a configuration
 * has no list of them.
 */
export function engineConfigProblems(
  config: DeploymentConfig,
  {
    reservedKeys: reserved,
    settingKeys = {},
    keyFlag,
  }: Pick<Engine, "reservedKeys" | "settingKeys" | "keyFlag">,
): Problem[] {
  const places = [
    { path: ["engineConfig"], said: config.engineConfig, pools: config.pools },
    ...config.pools.map((pool, at) => ({
      path: ["pools", at, "engineConfig"],
      said: pool.engineConfig,
      pools: [pool],
    })),
  ].filter(({ said }) => Object.keys(said).length > 0);
  if (reserved === undefined) {
    const takes = ENGINES.filter((name) => engines[name].reservedKeys !== undefined).join(", ");
    const message = `is for engine ${takes}; ${config.engine} takes arguments alone. Say it in engineArgs.`;
    return places.map(({ path }) => ({ path, message }));
  }
  return [
    ...places.flatMap(({ path, said, pools }) => [
      ...reservedProblems(path, said, reserved),
      ...Object.entries(settingKeys).flatMap(([key, setting]): Problem[] => {
        if (valueAt(said, key) === undefined) return [];
        const value = pools.map((pool) => settingOf(config, pool, setting)).find(isUsed);
        const message = saidTwice(key, setting, value);
        return message === undefined ? [] : [{ path: [...path, ...key.split(".")], message }];
      }),
    ]),
    ...(places.length > 0 && keyFlag !== undefined ? flagProblems(config, keyFlag) : []),
  ];
}

/** The value of a key such as `a.b`. */
const valueAt = (said: Config, key: string): Value =>
  key.split(".").reduce<Value>((value, part) => (isGroup(value) ? own(value, part) : undefined), said);

function reservedProblems(path: SettingPath, said: Config, reserved: ReservedFlags): Problem[] {
  return Object.entries(reserved).flatMap(([key, instead]): Problem[] => {
    const parts = key.split(".");
    const groups = parts.slice(0, -1);
    const group = groups.reduce<Value>((value, part) => (isGroup(value) ? value[part] : value), said);
    if (group === undefined) return [];
    if (!isGroup(group)) {
      const message = `${show(group)} is no group of settings. Allowed: an object, with its keys one by one.`;
      return [{ path: [...path, ...groups], message }];
    }
    if (own(group, parts.at(-1) ?? "") === undefined) return [];
    const remedy = instead === undefined ? "it follows from pools and cluster" : `use ${instead} instead`;
    return [{ path: [...path, ...parts], message: `is set by the plan. Remove it; ${remedy}.` }];
  });
}

/** Dynamo's worker accepts a whole configuration or single keys, and exits if it gets both. */
function flagProblems(config: DeploymentConfig, keyFlag: string): Problem[] {
  const lists = [
    { path: ["engineArgs"], given: config.engineArgs },
    ...config.pools.map(({ engineArgs }, at) => ({ path: ["pools", at, "engineArgs"], given: engineArgs })),
  ];
  return lists.flatMap(({ path, given }) =>
    given.flatMap((argument, at): Problem[] => {
      if (!argument.startsWith(keyFlag)) return [];
      const message = `${show(argument)} does not go with engineConfig: Dynamo takes one of the two. Say it there.`;
      return [{ path: [...path, at], message }];
    }),
  );
}
