import { type EngineName, WORKER_ROLES } from "../config/names";
import type { TaskName } from "../config/task";
import { secretsIn } from "../lib/placeholders";
import type { Probe } from "../lib/probe";

export { ENGINES, type EngineName, WORKER_ROLES, type WorkerRole } from "../config/names";
export type { Probe } from "../lib/probe";

/** The control plane, gateway and frontend, the workers and what watches them: every kind of program that a node can run. */
export const PROGRAM_ROLES = [
  "etcd",
  "nats",
  "events",
  "gateway",
  "frontend",
  ...WORKER_ROLES,
  "exporter",
  "prometheus",
] as const;
export type ProgramRole = (typeof PROGRAM_ROLES)[number];

/** Services that all others need: started before them and stopped after them. `events` carries KV events without NATS. */
export const CONTROL_PLANE_ROLES = ["etcd", "nats", "events"] as const satisfies readonly ProgramRole[];

/** Programs that only watch: nothing waits for them, and requests are answered without them. */
export const METRICS_ROLES = ["exporter", "prometheus"] as const satisfies readonly ProgramRole[];

/** A condition that must hold before a program starts; the launcher waits for it, bounded, by asking. */
export interface Wait {
  /** What is waited for, as a person would name it: `etcd`, `nats`. */
  readonly name: string;
  readonly probe: Probe;
  /** Seconds after which the launcher gives up with a message; the supervisor then starts it again. */
  readonly timeoutSeconds: number;
}

/**
 * How the ranks of a replica over several nodes are held together. None can go on without the others, so they start when all
 * are there, and when one ends all end and are started again: `runtime/lockstep.py`. Rank 0's launcher listens, the others connect.
 */
export interface Lockstep {
  /** Address of rank 0's node; may be a placeholder. */
  readonly host: string;
  /** A port of rank 0. */
  readonly port: number;
  /** How many ranks there are, 2 or more. */
  readonly ranks: number;
  /** Name of the secret with which the launchers know each other; its value is in the nodes' secrets files. */
  readonly secret: string;
  /** Seconds after which a launcher that still misses other ranks gives up with a message; the supervisor starts it again. */
  readonly timeoutSeconds: number;
}

/**
 * How a replica over several nodes becomes one MPI world with a rank for each GPU: `runtime/mpi.py`. Rank 0's program is `mpirun`, the others' are
 * Open MPI's daemon, which their launchers start when `mpirun` asks for it, with the arguments that it gives.
 */
export interface MpiStart {
  /** Addresses of the replica's nodes by rank, as `mpirun` is told them; may be placeholders. */
  readonly hosts: readonly string[];
  /**
   * Rank 0 only: where in its `command` that of the process that serves begins. The launcher hands it over in a file, because what
   * stands before it takes its arguments apart at spaces.
   */
  readonly worker?: number;
  /**
   * Rank 0 only: what a daemon on its own node has otherwise in its environment. There is one where the node's address is none of an interface
   * of its (a container's behind another address).
   */
  readonly daemonEnv?: Readonly<Record<string, string>>;
}

/** One supervised process on one node. */
export interface ProgramPlan {
  /** Unique on its node, `[a-z0-9-]+`: `etcd`, `frontend-0`, `decode-1`, `decode-1-rank1` for a replica's second node. */
  readonly name: string;
  readonly role: ProgramRole;
  /** Which copy within its role (for workers: within its pool's role), from 0. */
  readonly replica: number;
  /** Which of the replica's nodes this is, from 0. Always 0 where a replica fits one node. */
  readonly rank: number;
  /** argv, never a shell line. argv[0] is found on the node's PATH. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Names of variables whose values come from the node's secrets file (mode 0600) and never stand in a plan. */
  readonly secretEnv: readonly string[];
  /**
   * Files that it reads, by name; the launcher writes them to `programFile` (`lib/placeholders.ts`), mode 0600, before each start.
   * They may hold placeholders, those of secrets among them (`secretPlaceholder`).
   */
  readonly files?: Readonly<Record<string, string>>;
  /**
   * Digests of what it reads of the deployment's own files, by name: other contents start it anew. Only on target local; SkyPilot starts
   * the whole task anew.
   */
  readonly brought?: Readonly<Record<string, string>>;
  /** Device indices on the node, each used by one program only, unless the configuration shares them (`cluster.workersPerGpu`). */
  readonly gpus: readonly number[];
  /** What it listens on, by purpose: `{ http: 8000 }`, `{ client: 2379, peer: 2380 }`. */
  readonly ports: Readonly<Record<string, number>>;
  readonly waitsFor: readonly Wait[];
  /** Tells that it is serving, asked from the node itself. */
  readonly health: Probe;
  /** Seconds between SIGTERM and SIGKILL of its whole process group. */
  readonly stopSeconds: number;
  /** Present if the program is a rank of a replica over several nodes. */
  readonly lockstep?: Lockstep;
  /** Present if the replica is an MPI world. */
  readonly mpi?: MpiStart;
}

/** Names of all secrets that a program needs from its node's file: its own, those in its files, and its launcher's. */
export function secretsOfProgram({
  secretEnv,
  files = {},
  lockstep,
}: Pick<ProgramPlan, "secretEnv" | "files" | "lockstep">): string[] {
  const inFiles = Object.values(files).flatMap(secretsIn);
  return [...secretEnv, ...inFiles, ...(lockstep === undefined ? [] : [lockstep.secret])];
}

export interface NodePlan {
  /** 0 is the head. */
  readonly rank: number;
  /** Number of GPUs the node has (used or not). */
  readonly gpus: number;
  /** GPU indices that no program uses. */
  readonly idleGpus: readonly number[];
  readonly programs: readonly ProgramPlan[];
}

/** One SkyPilot cluster, or one set of local nodes. */
export interface ClusterPlan {
  /** Short role-like name, unique in the deployment: `main`; with dedicated placement `control`, `decode-0`. */
  readonly name: string;
  /** SkyPilot's accelerator name (`H100`), absent where nodes have none. */
  readonly accelerator?: string;
  readonly nodes: readonly NodePlan[];
}

/** What must be registered with the frontend before the deployment is ready. */
export interface ExpectedWorkers {
  readonly aggregated: number;
  readonly prefill: number;
  readonly decode: number;
  readonly encode: number;
}

export interface DeploymentPlan {
  /** What clients name in a request. */
  readonly model: string;
  /** What clients ask it for. */
  readonly task: TaskName;
  readonly engine: EngineName;
  readonly routerMode: string;
  readonly clusters: readonly ClusterPlan[];
  /** Where clients connect: which cluster's node, and which port. */
  readonly endpoint: { readonly cluster: string; readonly rank: number; readonly port: number };
  /** Dynamo namespace in which the workers register. */
  readonly namespace: string;
  readonly expectedWorkers: ExpectedWorkers;
}
