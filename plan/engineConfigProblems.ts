/** `engineConfig`: keys that the plan sets, or that contradict a setting. */

import type { DeploymentConfig } from "../config/deployment";
import type { Problem, SettingPath } from "../config/problems";
import { nearest, show } from "../config/values";
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
    plannedKeys,
    configProblems,
    knownKeys = [],
    formerKeys = {},
  }: Pick<
    Engine,
    "reservedKeys" | "settingKeys" | "keyFlag" | "plannedKeys" | "configProblems" | "knownKeys" | "formerKeys"
  >,
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
      ...reservedProblems(path, said, reserved, (key, value) =>
        pools.every((pool) => plannedKeys?.(config, pool)[key] === value),
      ),
      ...unknownProblems(path, said, knownKeys, formerKeys),
      ...(configProblems?.(said, pools) ?? []).map(({ key, message }) => ({ path: [...path, key], message })),
      ...Object.entries(settingKeys).flatMap(([key, setting]): Problem[] => {
        const own = valueAt(said, key);
        if (own === undefined) return [];
        const values = pools.map((pool) => settingOf(config, pool, setting));
        if (values.every((value) => value === own)) return [];
        const value = values.find(isUsed);
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

/** Keys that the engine would refuse: those of before, and misspelt ones. */
function unknownProblems(
  path: SettingPath,
  said: Config,
  known: readonly string[],
  former: Readonly<Record<string, string | undefined>>,
): Problem[] {
  const groups = [...new Set(known.flatMap((key) => (key.includes(".") ? [key.replace(/\..*/, "")] : [])))];
  const names = [
    ...Object.keys(said),
    ...groups.flatMap((group) => {
      const below = own(said, group);
      return isGroup(below) ? Object.keys(below).map((key) => `${group}.${key}`) : [];
    }),
  ];
  return names.flatMap((name): Problem[] => {
    if (known.includes(name)) return [];
    const at = [...path, ...name.split(".")];
    if (Object.hasOwn(former, name)) {
      const instead = former[name];
      const remedy = instead === undefined ? "Remove it" : `Use ${instead} instead`;
      return [{ path: at, message: `is not a key that the engine takes any more. ${remedy}.` }];
    }
    const near = nearest(name, known, 2);
    if (near === undefined) return [];
    return [{ path: at, message: `is not a key that the engine takes. Did you mean ${show(near)}?` }];
  });
}

/** @param isPlanned Whether the plan says the same of every pool. */
function reservedProblems(
  path: SettingPath,
  said: Config,
  reserved: ReservedFlags,
  isPlanned: (key: string, value: Value) => boolean,
): Problem[] {
  return Object.entries(reserved).flatMap(([key, instead]): Problem[] => {
    const parts = key.split(".");
    const groups = parts.slice(0, -1);
    const group = groups.reduce<Value>((value, part) => (isGroup(value) ? value[part] : value), said);
    if (group === undefined) return [];
    if (!isGroup(group)) {
      const message = `${show(group)} is no group of settings. Allowed: an object, with its keys one by one.`;
      return [{ path: [...path, ...groups], message }];
    }
    const value = own(group, parts.at(-1) ?? "");
    if (value === undefined || isPlanned(key, value)) return [];
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
