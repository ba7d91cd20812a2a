/**
 * From the user's input to a configuration that can be planned: typed, complete, and validated. Reports all
 * mistakes at once.
 */

import { frontendReplicas, hasGateway, type TLS_KINDS } from "../config/access";
import { checkAcross, type Known } from "../config/checks";
import { coerce } from "../config/coerce";
import type { DeploymentConfig } from "../config/deployment";
import { problemsOf } from "../config/issues";
import { defaultServedName } from "../config/model";
import { defaultParsers } from "../config/parsers";
import { firstReplicas, gpusPerReplica, mostReplicas, poolsSchema } from "../config/pools";
import { ConfigError, type Problem } from "../config/problems";
import { routerMode } from "../config/router";
import { type ConfigInput, configKeys, configSchema, type ParsedConfig } from "../config/schema";
import { MOST_GPUS_OF_A_NODE, USUAL_GPUS_OF_A_NODE } from "../config/services";
import { show } from "../config/values";
import { type EngineName, usualEngine } from "../engines";
import { pack } from "./packing";
import { bestLayout } from "./usualPools";

/** Configuration as written by the user: every key optional except `model`. */
export type { ConfigInput };
export { configKeys };

/**
 * Parses a configuration: the object of all keys below the namespace `dynamo-sky`. Top-level values may be
 * strings, as passed by Pulumi (`config/coerce.ts`).
 * @throws ConfigError with every mistake found; nothing else, whatever the input.
 */
export function parseConfig(raw: unknown): DeploymentConfig {
  if (!isRecord(raw)) {
    const message = `${show(raw)} is not a configuration. Allowed: an object with settings, of which model is required.`;
    throw new ConfigError([{ path: [], message }]);
  }
  const { parsed, known, problems } = read(raw);
  const across = checkAcross(known);
  if (parsed === undefined || across.length > 0) throw new ConfigError([...problems, ...across]);
  return complete(parsed);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

interface Reading {
  /** The whole configuration, if every setting is valid by itself. */
  readonly parsed?: ParsedConfig;
  readonly known: Known;
  readonly problems: readonly Problem[];
}

/** Parses each setting separately. */
function read(raw: Readonly<Record<string, unknown>>): Reading {
  const shape: Readonly<Record<string, (typeof configSchema.shape)[keyof typeof configSchema.shape]>> =
    configSchema.shape;
  const coerced = Object.fromEntries(
    Object.entries(raw).map(([key, value]) => {
      const schema = Object.hasOwn(shape, key) ? shape[key] : undefined;
      return [key, schema === undefined ? value : coerce(schema, value)];
    }),
  );
  const result = configSchema.safeParse(coerced);
  if (result.success) {
    const engine = engineOf(result.data);
    const best = raw["pools"] === undefined ? bestLayout({ ...result.data, engine }) : undefined;
    const parsed =
      best === undefined ? result.data : { ...result.data, pools: poolsSchema.parse(best.pools) };
    return { parsed, known: { ...parsed, engine }, problems: [] };
  }
  return {
    known: readable(coerced, new Set(result.error.issues.map((issue) => issue.path[0]))),
    problems: problemsOf(configSchema, result.error.issues),
  };
}

/** The valid part of a configuration, without the settings `failed`. */
function readable(coerced: Readonly<Record<string, unknown>>, failed: ReadonlySet<unknown>): Known {
  const isGood = ([key]: [string, unknown]) => configKeys.includes(key) && !failed.has(key);
  const result = configSchema.partial().safeParse(Object.fromEntries(Object.entries(coerced).filter(isGood)));
  if (!result.success) return {};
  const { engine: _, ...rest } = result.data;
  const known: Partial<typeof rest> = Object.fromEntries(
    Object.entries(rest).filter(([key]) => !failed.has(key)),
  );
  const { target } = known;
  const isClear = !failed.has("engine") && target !== undefined;
  return isClear ? { ...known, engine: engineOf({ engine: result.data.engine, target }) } : known;
}

function engineOf({ engine, target }: Pick<ParsedConfig, "engine" | "target">): EngineName {
  return engine ?? usualEngine(target);
}

/** Plain HTTP is the default only without a gateway, or if nothing leaves this machine. */
function tlsMode(parsed: ParsedConfig): (typeof TLS_KINDS)[number] {
  const { mode, certificate } = parsed.access.tls;
  if (mode !== undefined) return mode;
  if (certificate !== undefined) return "own";
  return hasGateway(parsed) === true && parsed.target === "sky" ? "generated" : "off";
}

/** Applies the defaults that depend on other settings. */
function complete(parsed: ParsedConfig): DeploymentConfig {
  const isLocal = parsed.target === "local";
  const engine = engineOf(parsed);
  const usual = defaultParsers({ ...parsed, engine });
  const { migrationLimit = movesFrom(parsed) } = parsed.frontend;
  return {
    ...parsed,
    engine,
    frontend: { ...parsed.frontend, migrationLimit, replicas: frontendReplicas(parsed) ?? 1 },
    reasoningParser: parsed.reasoningParser ?? usual.reasoningParser,
    toolCallParser: parsed.toolCallParser ?? usual.toolCallParser,
    pools: parsed.pools.map((pool) => ({ ...pool, replicas: firstReplicas(pool) })),
    servedModelName: parsed.servedModelName ?? defaultServedName(parsed.model),
    router: { ...parsed.router, mode: routerMode(parsed.router, parsed.task) },
    cluster: {
      ...parsed.cluster,
      gpusPerNode: parsed.cluster.gpusPerNode ?? (isLocal ? fittingGpus(parsed) : USUAL_GPUS_OF_A_NODE),
      allowIdleGpus: parsed.cluster.allowIdleGpus ?? isLocal,
    },
    access: {
      ...parsed.access,
      gateway: hasGateway(parsed) === true,
      tls: { ...parsed.access.tls, mode: tlsMode(parsed) },
    },
    timeouts: { ...parsed.timeouts, readySeconds: parsed.timeouts.readySeconds ?? (isLocal ? 180 : 3600) },
  };
}

const LEAST_MOVES = 3;

/**
 * Moves enough for the loss of a node: a request may be sent back once to its own worker and once to each
 * other worker of that node before the router knows that they are gone. The number of replicas has no part
 * in it: with one more or fewer no frontend is restarted.
 */
function movesFrom({
  pools,
  cluster: { gpusPerNode = USUAL_GPUS_OF_A_NODE, workersPerGpu },
}: ParsedConfig): number {
  const smallest = Math.min(...pools.map(gpusPerReplica));
  return Math.max(LEAST_MOVES, Math.floor((gpusPerNode * workersPerGpu) / smallest) + 2);
}

/** The fewest GPUs per node that hold all pools: local GPUs are simulated, so there are as many as needed. */
function fittingGpus({ pools, cluster: { nodes, workersPerGpu } }: ParsedConfig): number {
  if (workersPerGpu > 1) {
    const workers = pools.reduce((sum, pool) => sum + mostReplicas(pool), 0);
    return Math.min(Math.ceil(workers / (nodes * workersPerGpu)), MOST_GPUS_OF_A_NODE);
  }
  const sizes = pools.map((pool) => ({
    ...pool,
    replicas: mostReplicas(pool),
    gpusPerReplica: gpusPerReplica(pool),
  }));
  const needed = sizes.reduce((sum, pool) => sum + pool.replicas * pool.gpusPerReplica, 0);
  const least = Math.ceil(needed / nodes);
  const most = Math.min(needed, MOST_GPUS_OF_A_NODE);
  for (let gpus = least; gpus <= most; gpus++) {
    if (pack(sizes, nodes, gpus).packing !== undefined) return gpus;
  }
  // None fits: packing reports that for this number.
  return Math.min(least, MOST_GPUS_OF_A_NODE);
}
