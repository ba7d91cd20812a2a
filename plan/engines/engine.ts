/** What an engine is to the plan: from a worker's specification to the command that starts it. */

import { type TaskName, tasks } from "../../config/task";
import type { DeploymentConfig, PoolConfig } from "../config";
import type { PortNeed, PortsTaken } from "../ports";
import type { MpiStart, Probe } from "../types";
import type { TransferRules } from "./transfer";

/** The processes of one replica have this in common. */
export interface ReplicaSpec {
  readonly config: DeploymentConfig;
  readonly pool: PoolConfig;
  /** Nodes that the replica is spread over; it has one process on each. */
  readonly nodes: number;
}

/** One process of a replica. */
export interface RankSpec extends ReplicaSpec {
  /** Which of the replica's nodes this is; 0 leads. */
  readonly rank: number;
}

/** One process, with what packing has given it. */
export interface WorkerSpec extends RankSpec {
  /** Unique on its node: `decode-1`. */
  readonly name: string;
  /** Where it listens for others of the deployment, and what they are told; may be a placeholder. */
  readonly address: string;
  /** Address of rank 0's node; may be a placeholder. */
  readonly leader: string;
  /** Addresses of all of the replica's nodes by rank, as placeholders. */
  readonly hosts: readonly string[];
  readonly ports: PortsTaken;
  /** Ports of rank 0; the same as `ports` on rank 0. */
  readonly leaderPorts: PortsTaken;
}

/** How a worker's process is started. */
export interface WorkerCommand {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Present if it is started as, or in, an MPI world. */
  readonly mpi?: MpiStart;
}

/**
 * What a process is to Dynamo, which decides its health probe and its environment:
 *
 * - `worker`: registers with the frontend and serves requests.
 * - `unseen`: like a worker, but registers where no frontend looks.
 * - `helper`: has Dynamo's runtime and its status server, but serves nothing itself.
 * - `bare`: the engine alone.
 */
export type ProcessKind = "worker" | "unseen" | "helper" | "bare";

/** What an engine cannot do with a replica of that shape, and the key of the pool that asks for it. */
export interface ShapeProblem {
  readonly key: keyof PoolConfig;
  readonly message: string;
}

/**
 * Flags that the plan settles, each with the configuration key to use instead, or `undefined` where it follows from the
 * plan alone. Given once more in `engineArgs` they would undo what packing, ports and routing rely on.
 */
export type ReservedFlags = Readonly<Record<string, string | undefined>>;

/**
 * Flags and variables that are given although no setting asks for them and no wiring needs them, each with the reason. Whatever an
 * engine would choose by the model, the GPU or its version does not belong here: its choice is better than one for all.
 */
export type Unasked = Readonly<Record<string, string>>;

export interface Engine {
  readonly reservedFlags: ReservedFlags;
  /** Its flags for each task that it has; another one is refused. */
  readonly taskFlags: Readonly<Partial<Record<TaskName, readonly string[]>>>;
  readonly unasked: Unasked;
  /** What hands KV blocks from worker to worker; undefined where nothing is handed over. */
  readonly transfer?: TransferRules;
  /** Keys of `engineConfig` that the plan settles; undefined for an engine that has no such configuration. A group is `a.b`. */
  readonly reservedKeys?: ReservedFlags;
  /** True if GPUs are given to processes: `CUDA_VISIBLE_DEVICES` says which. */
  readonly usesGpus: boolean;
  /** What this engine cannot do with replicas that are spread over that many nodes. */
  shapeProblems(replica: ReplicaSpec): ShapeProblem[];
  kind(rank: RankSpec): ProcessKind;
  /** Ports besides Dynamo's own. */
  ports(rank: RankSpec): PortNeed[];
  /** Command and environment of one process; what all Dynamo workers share is added by the caller. */
  start(worker: WorkerSpec): WorkerCommand;
  /** Models besides the deployment's that the user's arguments name, with which the engine drafts tokens. Default: none. */
  draftModels?(args: readonly string[]): string[];
  /** Tells that a `bare` process runs. */
  bareHealth?(worker: WorkerSpec): Probe;
}

/** `[name, value]` when there is a value, else nothing. */
export function option(name: string, value: string | number | undefined): string[] {
  return value === undefined ? [] : [name, String(value)];
}

/** `[name]` when the condition holds, else nothing. */
export function flag(name: string, on: boolean): string[] {
  return on ? [name] : [];
}

/** Values that a flag has in the user's arguments, written as `--flag value` or `--flag=value`. */
export function valuesOf(args: readonly string[], flags: readonly string[]): string[] {
  return args.flatMap((argument, index) => {
    const [name = "", ...value] = argument.split("=");
    if (!flags.includes(name)) return [];
    return value.length > 0 ? [value.join("=")] : [args[index + 1] ?? ""];
  });
}

/** What the user adds goes last, so that it wins where a flag is given twice. */
export function extraArgs({ config, pool }: ReplicaSpec): string[] {
  return [...config.engineArgs, ...pool.engineArgs];
}

/** True if the pool's workers hand KV blocks over or take them. */
export const disaggregated = ({ pool }: ReplicaSpec): boolean =>
  pool.role === "prefill" || pool.role === "decode";

/** True if workers of the pool keep the beginnings of prompts: those that read prompts. */
export const keepsPrefixes = ({ pool }: ReplicaSpec): boolean =>
  pool.role === "aggregated" || pool.role === "prefill";

/** True if pictures are looked at by workers of their own, which the others have to know. */
export const hasEncoders = ({ config }: ReplicaSpec): boolean =>
  config.pools.some(({ role }) => role === "encode");

export function extraEnv({ config, pool }: ReplicaSpec): Record<string, string> {
  return { ...config.engineEnv, ...pool.engineEnv };
}

/**
 * True if workers of the pool publish what their KV cache holds. Decode workers do not: the router never looks for a
 * prefix there, the prefill worker's cache decides; nor do those that write no tokens. Whatever the router's mode, so that changing it restarts no worker.
 */
export function publishesKvEvents(replica: ReplicaSpec): boolean {
  const { router, task } = replica.config;
  return router.kvEvents && keepsPrefixes(replica) && tasks[task].generates;
}

/**
 * `--kv-events-config` of SGLang and vLLM. The port is the first of a block: each attention group adds its own number.
 * The engines bind only where the address has a `*`.
 */
export function kvEventsConfig(port: number | undefined, more: Record<string, boolean> = {}): string {
  return JSON.stringify({ publisher: "zmq", topic: "kv-events", endpoint: `tcp://*:${port}`, ...more });
}
