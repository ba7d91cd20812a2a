/** What an engine says of itself, and what the engines' files share. */

import type { Known } from "../config/checks";
import type { DeploymentConfig, PoolConfig } from "../config/deployment";
import type { FlagTable, FlagValues } from "../config/flags";
import { NO_PARSER } from "../config/names";
import type { Json, PlainObject } from "../config/plain";
import { isScaled } from "../config/pools";
import type { PortNeed, PortsTaken } from "../config/ports";
import type { Problem } from "../config/problems";
import { spelling } from "../config/reserved";
import { type TaskName, tasks } from "../config/task";
import type { Probe } from "../lib/probe";
import type { Config } from "./engineConfig";
import type { EngineSeries } from "./series";
import type { TransferRules } from "./transfer";

/** Common to the processes of one replica. */
export interface ReplicaSpec {
  readonly config: DeploymentConfig;
  readonly pool: PoolConfig;
  /** Number of nodes of the replica; it has one process on each. */
  readonly nodes: number;
}

/** One process of a replica. */
export interface RankSpec extends ReplicaSpec {
  /** Index of the node in the replica; 0 is the leader. */
  readonly rank: number;
}

/** One process, with its placement. */
export interface WorkerSpec extends RankSpec {
  /** Unique on its node: `decode-1`. */
  readonly name: string;
  /** Address on which it listens for others of the deployment, and which they use; may be a placeholder. */
  readonly address: string;
  /** Address of rank 0's node; may be a placeholder. */
  readonly leader: string;
  /** Addresses of all of the replica's nodes by rank, as placeholders. */
  readonly hosts: readonly string[];
  readonly ports: PortsTaken;
  /** Ports of rank 0; the same as `ports` on rank 0. */
  readonly leaderPorts: PortsTaken;
}

/**
 * How a replica over several nodes becomes one MPI world with a rank per GPU: `runtime/mpi.py`. Rank 0's
 * program is `mpirun`, the others' are Open MPI's daemon, which their launchers start with `mpirun`'s
 * arguments when it requests it.
 */
export interface MpiStart {
  /** Addresses of the replica's nodes by rank, as passed to `mpirun`; may be placeholders. */
  readonly hosts: readonly string[];
  /**
   * Rank 0 only: index in `command` at which the serving process's command starts. The launcher passes it in
   * a file, because the program before it splits its arguments at spaces.
   */
  readonly worker?: number;
  /**
   * Rank 0 only: environment that differs for a daemon on its own node. There is one if the node's address is
   * on none of its interfaces (a container behind another address).
   */
  readonly daemonEnv?: Readonly<Record<string, string>>;
}

/** How to start a worker's process. */
export interface WorkerCommand {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Set if it is started as, or in, an MPI world. */
  readonly mpi?: MpiStart;
}

/**
 * Role of a process in Dynamo, which decides its health probe and its environment:
 *
 * - `worker`: registers with the frontend and serves requests.
 * - `unseen`: like a worker, but registers where no frontend looks.
 * - `helper`: has Dynamo's runtime and its status server, but serves nothing itself.
 * - `bare`: the engine alone.
 */
export type ProcessKind = "worker" | "unseen" | "helper" | "bare";

/** What the user asks of the engine for the workers of a pool. */
export interface Asked {
  readonly args: readonly string[];
  /** `engineConfig`, of both levels. */
  readonly config: PlainObject;
}

/** A model that an engine loads besides the deployment's. */
export interface OtherModel {
  readonly name: string;
  /** Of the hub. Default: the newest. */
  readonly revision?: string;
}

/** A replica shape that an engine does not support, and the pool's key that requests it. */
export interface ShapeProblem {
  readonly key: keyof PoolConfig;
  readonly message: string;
}

/**
 * Flags set by the plan, each with the configuration key to use instead, or `undefined` if it is derived.
 * Repeating them in `engineArgs` would break packing, ports or routing.
 */
export type ReservedFlags = Readonly<Record<string, string | undefined>>;

/** Flags, keys or variables that the plan sets where a setting is used, each with that setting. */
export type SettingFlags = Readonly<Record<string, string>>;

/**
 * Flags and variables that are always set although no setting or wiring needs them, each with the reason.
 * Values that an engine chooses by model, GPU or version do not belong here: its choice is better than a
 * fixed one.
 */
export type AlwaysSet = Readonly<Record<string, string>>;

/** A pool as the configuration has it, before defaults that depend on others. */
export type PoolInput = NonNullable<Known["pools"]>[number];

/** Why a pool is refused, and the key that is to blame. */
export interface PoolProblem {
  readonly key: keyof PoolInput;
  readonly message: string;
}

/** What is wrong with a key of `engineConfig`. */
export interface ConfigProblem {
  readonly key: string;
  readonly message: string;
}

/** Limits of an engine: flags and their combinations. What fits the GPUs is checked by packing. */
export interface Rules {
  pool(pool: PoolInput): PoolProblem[];
  whole(known: Known): Problem[];
}

/**
 * The version of a real engine on nodes: `pypi` with the extra of `ai-dynamo`, `image` in NVIDIA's image on
 * NGC.
 *
 * The plan uses one set of flags, which is right for both as long as the two are equal (a test checks that);
 * if they differ, the flags that differ belong beside them. Images of other releases are rejected
 * (`config/checks/image.ts`). Source of `image`, and of the versions in older releases:
 * https://docs.nvidia.com/dynamo/v1.6.1/reference/releases/deprecations
 */
export interface Release {
  readonly pypi: string;
  readonly image: string;
  /** Name of NVIDIA's image on NGC. */
  readonly imageName: string;
  /**
   * Size of its Python environment on disk, and approximately of its download, in GB: an engine whose own
   * parsers the tests ask. Default: PyPI has no wheels of it.
   */
  readonly environmentGB?: { readonly disk: number; readonly download: number };
}

/** How the engine's parser reads flags, beyond Python's argparse. */
export interface Notation {
  /** Whether `_` stands for `-`, and `--flag.key` is a key of a JSON value. Default: no. */
  readonly keysOfJson?: boolean;
  /** Flags that the table cannot list. */
  other?(name: string): FlagValues | undefined;
}

/** `kvOffload.diskGB`, where the engine cannot do it or needs something for it. */
export interface DiskRules {
  /** Why it cannot, to follow its name: "which …". */
  readonly refused?: string;
  /** Why `router.blockSize` has to be set with it: a sentence's first part. */
  readonly needsBlockSize?: string;
}

export interface Engine {
  /**
   * Undefined for an engine that is simulated: Dynamo's packages on PyPI bring it, a tenth of the images'
   * size.
   */
  readonly release?: Release;
  readonly rules: Rules;
  /** Every flag that its worker takes. */
  readonly table: FlagTable;
  readonly notation?: Notation;
  readonly disk?: DiskRules;
  /** Its own flag for a parser of tool calls, which it refuses beside Dynamo's. */
  readonly ownToolParser?: string;
  /** Why it has no output that could be parsed, to follow a parser's name. */
  readonly unparsed?: string;
  /**
   * Variables that the plan sets, with the setting to use instead; refused for all programs of all engines.
   */
  readonly reservedVariables?: ReservedFlags;
  /** Variables of all programs of a deployment with another engine, each with the reason. */
  readonly elsewhere?: Readonly<Record<string, { readonly value: string; readonly why: string }>>;
  /** Prefix of a flag for one key of `engineConfig`: `--engine.<group>.<key>`. */
  readonly keyFlag?: string;
  /** Its own series, besides Dynamo's, and how the dashboard shows them. */
  readonly series: readonly EngineSeries[];
  /** What users should know of its replicas over several nodes: a warning of every preview with one. */
  readonly cautionAcrossNodes?: readonly string[];
  readonly reservedFlags: ReservedFlags;
  /** Of those, the reason where it is another one than a setting, to follow the flag. */
  readonly refusedFlags?: Readonly<Record<string, string>>;
  /** Flags left to the user where the setting is not used: both would contradict each other. */
  readonly settingFlags?: SettingFlags;
  /** The same, of variables that no flag stands for. */
  readonly settingVariables?: SettingFlags;
  /** The same, of keys of `engineConfig`. */
  readonly settingKeys?: SettingFlags;
  /**
   * Flags that choose who starts the ranks of a replica, which the plan does itself over several nodes: only
   * these values go with that.
   */
  readonly acrossNodes?: Readonly<Record<string, readonly string[]>>;
  /** Flags for each supported task; others are rejected. */
  readonly taskFlags: Readonly<Partial<Record<TaskName, readonly string[]>>>;
  readonly alwaysSet: AlwaysSet;
  /** How KV blocks are transferred between workers; undefined if not supported. */
  readonly transfer?: TransferRules;
  /**
   * Keys of `engineConfig` set by the plan; undefined for an engine without such a configuration. A group is
   * `a.b`.
   */
  readonly reservedKeys?: ReservedFlags;
  /** What the plan gives to those keys, which may be said again. A key without a value is never said. */
  plannedKeys?(config: DeploymentConfig, pool: PoolConfig): Readonly<Record<string, Json | undefined>>;
  /**
   * What else the engine would refuse in `engineConfig` of these pools, as soon as it has loaded the model.
   */
  configProblems?(said: Config, pools: readonly PoolConfig[]): readonly ConfigProblem[];
  /** Keys that the engine has; those like one of them are mistakes. */
  readonly knownKeys?: readonly string[];
  /** Keys that the engine has not any more, and what is used instead. */
  readonly formerKeys?: Readonly<Record<string, string | undefined>>;
  /** Whether processes get GPUs assigned (`CUDA_VISIBLE_DEVICES`). */
  readonly usesGpus: boolean;
  /** Reasons why this engine does not support a replica of this shape. Default: it supports all. */
  shapeProblems?(replica: ReplicaSpec): ShapeProblem[];
  kind(rank: RankSpec): ProcessKind;
  /** Ports in addition to Dynamo's own. */
  ports(rank: RankSpec): PortNeed[];
  /** Command and environment of one process; the caller adds what all Dynamo workers share. */
  start(worker: WorkerSpec): WorkerCommand;
  /** Models in the user's options, besides the deployment's: hub ids, paths, buckets. Default: none. */
  otherModels?(asked: Asked): OtherModel[];
  /** Health probe of a `bare` process. */
  bareHealth?(worker: WorkerSpec): Probe;
}

/** `[name, value]` if there is a value, else nothing. */
export function option(name: string, value: string | number | undefined): string[] {
  return value === undefined ? [] : [name, String(value)];
}

/** `[name]` if the condition holds, else nothing. */
export function flag(name: string, on: boolean): string[] {
  return on ? [name] : [];
}

/**
 * Values of a flag in the user's arguments, written as `--flag value` or `--flag=value`. Parsers accept `_`
 * for `-`.
 */
export function valuesOf(args: readonly string[], flags: readonly string[]): string[] {
  return args.flatMap((argument, index) => {
    const [name = "", ...value] = argument.split("=");
    if (!flags.includes(spelling(name))) return [];
    return value.length > 0 ? [value.join("=")] : [args[index + 1] ?? ""];
  });
}

/** Values of a flag that takes several: up to the next flag. */
export function listOf(args: readonly string[], flag: string): string[] {
  const at = args.findLastIndex((argument) => spelling(argument) === flag);
  if (at < 0) return valuesOf(args, [flag]);
  const rest = args.slice(at + 1);
  const end = rest.findIndex((argument) => argument.startsWith("--"));
  return end < 0 ? rest : rest.slice(0, end);
}

/** The model with this name and revision; none if the value is no name. */
export function otherModel(name: unknown, revision?: unknown): OtherModel[] {
  if (typeof name !== "string" || name === "") return [];
  return [{ name, ...(typeof revision === "string" ? { revision } : {}) }];
}

/** An object written as JSON; undefined for anything else, which the engine rejects with its own message. */
export function objectIn(json: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

/** GPUs that share a model's experts. */
export const world = (pool: PoolInput): number => pool.tensorParallel * pool.dataParallel;

/** `router.blockSize` that the engine does not have. */
export function blockSizeProblem(
  size: number | undefined,
  engine: string,
  allowed: string,
  accepts: (size: number) => boolean,
): Problem[] {
  if (size === undefined || accepts(size)) return [];
  const message = `${size} is not possible with engine ${engine}. Allowed: ${allowed}, such as 16 or 32.`;
  return [{ path: ["router", "blockSize"], message }];
}

/** The user's arguments come last, so that they override repeated flags. */
export function extraArgs({ config, pool }: ReplicaSpec): string[] {
  return [...config.engineArgs, ...pool.engineArgs];
}

/**
 * Names of Dynamo's parsers of the model's output, which its frontend reads from the workers that answer:
 * https://github.com/ai-dynamo/dynamo/blob/v1.6.1/components/src/dynamo/common/configuration/groups/runtime_args.py
 */
export function parserFlags({ config, pool }: ReplicaSpec): string[] {
  if (pool.role === "prefill" || pool.role === "encode") return [];
  const named = (flag: string, name: string) => (name === NO_PARSER ? [] : [flag, name]);
  return [
    ...named("--dyn-reasoning-parser", config.reasoningParser),
    ...named("--dyn-tool-call-parser", config.toolCallParser),
  ];
}

/** Whether the pool's workers send or receive KV blocks. */
export const disaggregated = ({ pool }: Pick<ReplicaSpec, "pool">): boolean =>
  pool.role === "prefill" || pool.role === "decode";

/** Whether the pool's workers cache prefixes of prompts: those that process prompts. */
export const keepsPrefixes = ({ pool }: Pick<ReplicaSpec, "pool">): boolean =>
  pool.role === "aggregated" || pool.role === "prefill";

/** Whether images are encoded by dedicated workers, which the others must know. */
export const hasEncoders = ({ config }: ReplicaSpec): boolean =>
  config.pools.some(({ role }) => role === "encode");

export function extraEnv({ config, pool }: ReplicaSpec): Record<string, string> {
  return { ...config.engineEnv, ...pool.engineEnv };
}

/**
 * Whether the pool's workers publish KV events. Decode workers do not: the router never looks for a prefix
 * there, only in the prefill worker's cache; nor do workers that generate no tokens. Independent of the
 * router's mode, so that changing it restarts no worker.
 */
export function publishesKvEvents(replica: ReplicaSpec): boolean {
  const { router, task } = replica.config;
  return router.kvEvents && keepsPrefixes(replica) && tasks[task].generates;
}

/** Whether the pool's workers tell what each pass of theirs did, by which the planner decides. */
export function tellsPlanner({ config, pool }: ReplicaSpec): boolean {
  return pool.role !== "encode" && config.pools.some(isScaled);
}

/**
 * Makes Dynamo's worker pass on what {@link tellsPlanner} means. vLLM uses the port:
 * https://github.com/ai-dynamo/dynamo/blob/v1.6.1/components/src/dynamo/vllm/envs.py
 */
export const FORWARD_PASS_VARIABLE = "DYN_FORWARDPASS_METRIC_PORT";

/**
 * `--kv-events-config` of SGLang and vLLM. The port is the first of a block: each attention group adds its
 * index. The engines bind only if the address has a `*`.
 */
export function kvEventsConfig(port: number | undefined, more: Record<string, boolean> = {}): string {
  return JSON.stringify({ publisher: "zmq", topic: "kv-events", endpoint: `tcp://*:${port}`, ...more });
}
