/**
 * The user's arguments and variables for the programs: those that contradict the plan or a setting, and those
 * that the program itself would refuse.
 */

import { type ArgumentsOf, argumentProblems as refusedBy, tableOf } from "../config/arguments";
import { isKnownRelease } from "../config/checks/image";
import type { DeploymentConfig, PoolConfig } from "../config/deployment";
import { FRONTEND_TABLE, flagOfVariable } from "../config/flags";
import { chatProcessor } from "../config/parsers";
import type { Problem, SettingPath } from "../config/problems";
import { reservedFlag, spelling } from "../config/reserved";
import { reservedVariable } from "../config/reservedVariables";
import { ROUTER_KNOBS, ROUTER_SETTINGS } from "../config/router";
import { show } from "../config/values";
import { engines } from "../engines";
import { type ReservedFlags, type SettingFlags, valuesOf } from "../engines/engine";
import { isUsed, saidTwice, settingOf } from "./saidTwice";

/** Every problem of them. `spans`: the pools whose replicas have several nodes. */
export function argumentProblems(config: DeploymentConfig, spans: readonly PoolConfig[]): Problem[] {
  return [
    ...engineGivens(config).flatMap((given) => [
      ...problemsOf(given),
      ...(given.pools.some((pool) => spans.includes(pool)) ? starterProblems(config, given) : []),
    ]),
    ...problemsOf(frontendGiven(config)),
  ];
}

/** What the user gives to a program in one place, and what counts there. */
interface Given {
  readonly program: ArgumentsOf;
  readonly path: SettingPath;
  readonly args: readonly string[];
  readonly env: readonly { readonly path: SettingPath; readonly of: Readonly<Record<string, string>> }[];
  readonly reservedFlags: ReservedFlags;
  readonly refusedFlags?: Readonly<Record<string, string>>;
  readonly settingFlags: SettingFlags;
  readonly settingVariables: SettingFlags;
  /** The value of a setting that is used. */
  readonly used: (setting: string) => unknown;
  /** Whether a flag that is not in the program's table is a mistake. */
  readonly knowsAll: boolean;
}

interface EngineGiven extends Given {
  /** The pools that it reaches. */
  readonly pools: readonly PoolConfig[];
}

function engineGivens(config: DeploymentConfig): EngineGiven[] {
  const { engine, sky, pools } = config;
  const { reservedFlags, refusedFlags = {}, settingFlags = {}, settingVariables = {} } = engines[engine];
  const at = (
    path: SettingPath,
    given: Pick<PoolConfig, "engineArgs" | "engineEnv">,
    reaches: typeof pools,
  ) => ({
    program: engine,
    path: [...path, "engineArgs"],
    args: given.engineArgs,
    env: [{ path: [...path, "engineEnv"], of: given.engineEnv }],
    reservedFlags,
    refusedFlags,
    settingFlags,
    settingVariables,
    used: (setting: string) => reaches.map((pool) => settingOf(config, pool, setting)).find(isUsed),
    knowsAll: isKnownRelease(sky.image),
    pools: reaches,
  });
  const top = at([], config, pools);
  return [
    // What frontends read too is looked at with theirs.
    { ...top, env: [...top.env, { path: ["sky", "envs"], of: without(FRONTEND_TABLE.variables, sky.envs) }] },
    ...pools.map((pool, index) => at(["pools", index], pool, [pool])),
  ];
}

const without = (others: object, env: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !Object.hasOwn(others, name)));

/** Settings of the frontend with a flag: those of the router, and its own. */
const FRONTEND_SETTINGS: SettingFlags = {
  "--migration-max-seq-len": "frontend.migrationMaxSeqLen",
  "--trust-remote-code": "trustRemoteCode",
  ...ROUTER_SETTINGS,
  // What it was called before.
  "--router-kv-overlap-score-weight": "router.prefillLoadScale",
};

/** A router's option at its default is not used: no flag is made of it. */
const USUAL = new Map<string, unknown>(ROUTER_KNOBS.map((knob) => [`router.${knob.key}`, knob.default]));

function frontendGiven(config: DeploymentConfig): Given {
  const { frontend, sky } = config;
  // Another processor of chats brings its engine's flags with it.
  const processor = chatProcessor(frontend.args) ?? "dynamo";
  return {
    program: "frontend",
    path: ["frontend", "args"],
    args: frontend.args,
    env: [
      { path: ["frontend", "env"], of: frontend.env },
      { path: ["sky", "envs"], of: sky.envs },
    ],
    // Those that are reserved: `config/checks/access.ts`.
    reservedFlags: {},
    settingFlags: FRONTEND_SETTINGS,
    settingVariables: {},
    used(setting) {
      const value = settingOf(config, undefined, setting);
      return USUAL.has(setting) && value === USUAL.get(setting) ? undefined : value;
    },
    knowsAll: isKnownRelease(sky.image) && processor === "dynamo",
  };
}

function problemsOf(given: Given): Problem[] {
  const { program, path, args, env, settingVariables, used, knowsAll } = given;
  const contradictions = args.map((argument) => contradiction(given, argument));
  const refused = refusedBy(program, args, { knowsAll }).filter(
    ({ index }) => contradictions[index] === undefined,
  );
  const names = env.flatMap(({ path: at, of }) =>
    Object.keys(of).map((name) => ({ path: [...at, name], name })),
  );
  return [
    ...contradictions.map((message, index) => ({ path: [...path, index], message })),
    ...refused.map(({ index, message }) => ({ path: [...path, index], message })),
    ...names
      // The others are refused already, wherever they stand.
      .filter(({ name }) => reservedVariable(name) === undefined)
      .map(({ path: at, name }) => {
        const flag = flagOfVariable(tableOf(program), name);
        const setting = settingVariables[name];
        const message =
          setting === undefined
            ? flag && contradiction(given, flag, name)
            : saidTwice(name, setting, used(setting));
        return { path: at, message };
      }),
  ].flatMap(({ path: at, message }) => (message === undefined ? [] : [{ path: at, message }]));
}

/** Why a flag, or a variable that stands for it, cannot stay beside the plan; undefined if it can. */
function contradiction(given: Given, argument: string, name?: string): string | undefined {
  const { program, reservedFlags, refusedFlags, settingFlags, used } = given;
  const table = tableOf(program);
  const reserved = reservedFlag(reservedFlags, argument, table);
  if (reserved !== undefined) {
    const { flag, instead } = reserved;
    const why = refusedFlags?.[flag];
    if (why !== undefined) return `${name ?? flag} ${why}`;
    const remedy = instead === undefined ? "it follows from pools and cluster" : `use ${instead} instead`;
    return `${name ?? flag} is set by the plan. Remove it; ${remedy}.`;
  }
  const { flag = "", instead } = reservedFlag(settingFlags, argument, table) ?? {};
  return instead === undefined ? undefined : saidTwice(name ?? flag, instead, used(instead));
}

/** Another way to start the ranks of a replica over several nodes than the plan's own. */
function starterProblems({ engine }: DeploymentConfig, { args, path }: Given): Problem[] {
  const { acrossNodes = {} } = engines[engine];
  return args.flatMap((argument, index): Problem[] => {
    const found = reservedFlag(acrossNodes, argument, tableOf(engine));
    if (found === undefined) return [];
    const { flag, instead: allowed = [] } = found;
    const [value = ""] = valuesOf(args.slice(index, index + 2), [spelling(argument.replace(/=.*/s, ""))]);
    if (allowed.includes(value)) return [];
    const only = allowed.length === 0 ? "" : `, by ${allowed.map(show).join(" or ")}`;
    const message = `${flag} has the ranks of a replica started in another way. Over several nodes the plan starts a process on each node itself${only}. Remove it, or make a replica fit one node.`;
    return [{ path: [...path, index], message }];
  });
}
