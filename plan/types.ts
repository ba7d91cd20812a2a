/**
 * The deployment plan: pure data that says which program runs on which node of which cluster, with which GPUs
 * and ports. It is made from the configuration (`plan/plan.ts`) and realised by the components, which decide
 * nothing themselves. The same configuration always gives a byte-identical plan.
 *
 * Values that are unknown until a node exists are placeholders in `command`, `env`, and the URLs of probes,
 * replaced by the node's launcher (`runtime/launch.py`):
 *
 * - `{{HEAD_IP}}`: address of the cluster's rank 0, which has the control plane (`HEAD_IP` in the
 *   environment).
 * - `{{NODE_IP}}`: address of the node itself.
 * - `{{NODE_DIR}}`: the node's own directory (data of etcd and NATS, logs, secrets).
 * - `{{MODELS}}`: directory of the models copied from buckets, filled before any program starts
 *   (`config/model.ts`).
 * - `{{CLUSTER_DIR}}`: a directory shared by all nodes of the cluster. Only with the local target, where all
 *   nodes are on one machine; used by Dynamo's file discovery.
 * - `{{RANK_IP_<n>}}`: address of the cluster's node of rank n (`{{RANK_IP_3}}`), for a replica over several
 *   nodes that does not start on the head.
 * - `{{CONTROL_IP}}`: address of the node with etcd and NATS, if it is in another cluster (dedicated
 *   placement).
 * - `{{GPUS}}`: the program's `gpus`, as CUDA counts them there; `{{NODE_INTERFACE}}`: the network interface
 *   with the node's address. Both only as the whole value of a variable.
 */
import { WORKER_ROLES } from "../config/names";
import type { Spot } from "../config/pools";
import type { TaskName } from "../config/task";
import type { EngineName } from "../engines";
import type { MpiStart } from "../engines/engine";
import { secretsIn } from "../lib/placeholders";
import type { Probe } from "../lib/probe";

export { WORKER_ROLES, type WorkerRole } from "../config/names";
export { ENGINES, type EngineName } from "../engines";
export type { MpiStart } from "../engines/engine";
export type { Probe } from "../lib/probe";

/** Every kind of program of a node: control plane, gateway and frontend, workers, monitoring. */
export const PROGRAM_ROLES = [
  "etcd",
  "nats",
  "events",
  "gateway",
  "frontend",
  "planner",
  ...WORKER_ROLES,
  "exporter",
  "prometheus",
] as const;
/** One of {@link PROGRAM_ROLES}. */
export type ProgramRole = (typeof PROGRAM_ROLES)[number];

/**
 * Services that all others need: started before them and stopped after them. `events` carries KV events
 * without NATS.
 */
export const CONTROL_PLANE_ROLES = ["etcd", "nats", "events"] as const satisfies readonly ProgramRole[];

/** Monitoring programs: nothing depends on them, and requests are served without them. */
export const METRICS_ROLES = ["exporter", "prometheus"] as const satisfies readonly ProgramRole[];

/** A condition that must hold before a program starts; the launcher polls it, with a time limit. */
export interface Wait {
  /** Name of the dependency for messages: `etcd`, `nats`. */
  readonly name: string;
  readonly probe: Probe;
  /** Seconds after which the launcher gives up with a message; the supervisor then restarts it. */
  readonly timeoutSeconds: number;
}

/**
 * How the ranks of a replica over several nodes are kept in step. None can go on without the others, so they
 * start when all are present, and when one ends all end and are restarted: `runtime/lockstep.py`. Rank 0's
 * launcher listens, the others connect.
 */
export interface Lockstep {
  /** Address of rank 0's node; may be a placeholder. */
  readonly host: string;
  /** A port of rank 0. */
  readonly port: number;
  /** Number of ranks, 2 or more. */
  readonly ranks: number;
  /** Name of the secret with which the launchers authenticate; its value is in the nodes' secrets files. */
  readonly secret: string;
  /**
   * Seconds after which a launcher that still waits for other ranks gives up with a message; the supervisor
   * restarts it.
   */
  readonly timeoutSeconds: number;
}

/**
 * When a worker counts as hanging, and is ended and started again, with the other ranks of its replica:
 * `runtime/health.py`. Nothing counts before its `health` has succeeded once.
 */
export interface Watch {
  /** Seconds from one probe of its `health` to the next. */
  readonly everySeconds: number;
  /** Seconds in which an answer must come. */
  readonly timeoutSeconds: number;
  /** So many failures in a row are the end. */
  readonly failures: number;
}

/** One supervised process on one node. */
export interface ProgramPlan {
  /**
   * Unique on its node, `[a-z0-9-]+`: `etcd`, `frontend-0`, `decode-1`, `decode-1-rank1` for a replica's
   * second node.
   */
  readonly name: string;
  readonly role: ProgramRole;
  /** Index within its role (for workers: within its pool's role), from 0. */
  readonly replica: number;
  /** Index of the node in the replica, from 0. Always 0 if a replica fits on one node. */
  readonly rank: number;
  /** argv, never a shell line. argv[0] is looked up on the node's PATH. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /**
   * Names of variables with values from the node's secrets file (mode 0600), which are never part of a plan.
   */
  readonly secretEnv: readonly string[];
  /**
   * Files that it reads, by name; the launcher writes them to `programFile` (`lib/placeholders.ts`), mode
   * 0600, before each start. They may hold placeholders, including secrets (`secretPlaceholder`).
   */
  readonly files?: Readonly<Record<string, string>>;
  /**
   * Digests of the deployment's own files that it reads, by name: a change restarts it. Not in a recipe,
   * whose task has the files.
   */
  readonly brought?: Readonly<Record<string, string>>;
  /**
   * Device indices on the node, each used by one program only, unless the configuration shares them
   * (`cluster.workersPerGpu`).
   */
  readonly gpus: readonly number[];
  /** Ports by purpose: `{ http: 8000 }`, `{ client: 2379, peer: 2380 }`. */
  readonly ports: Readonly<Record<string, number>>;
  readonly waitsFor: readonly Wait[];
  /** Health probe, run on the node itself. */
  readonly health: Probe;
  /** Set if it is ended and started again when it hangs: a worker that serves the endpoint, a frontend. */
  readonly watch?: Watch;
  /** Seconds between SIGTERM and SIGKILL of its whole process group. */
  readonly stopSeconds: number;
  /** Set if the program is a rank of a replica over several nodes. */
  readonly lockstep?: Lockstep;
  /** Set if the replica is an MPI world. */
  readonly mpi?: MpiStart;
}

/** Names of all secrets of a program in its node's file: its own, those in its files, and its launcher's. */
export function secretsOfProgram({
  secretEnv,
  files = {},
  lockstep,
}: Pick<ProgramPlan, "secretEnv" | "files" | "lockstep">): string[] {
  const inFiles = Object.values(files).flatMap(secretsIn);
  return [...secretEnv, ...inFiles, ...(lockstep === undefined ? [] : [lockstep.secret])];
}

/** A node and its programs. */
export interface NodePlan {
  /** 0 is the head. */
  readonly rank: number;
  /** Number of GPUs the node has (used or not). */
  readonly gpus: number;
  /** Unused GPUs. */
  readonly idleGpus: readonly number[];
  readonly programs: readonly ProgramPlan[];
}

/** One SkyPilot cluster, or one set of local nodes. */
export interface ClusterPlan {
  /**
   * Short role-like name, unique in the deployment: `main`; with dedicated placement `control`, `decode-0`.
   */
  readonly name: string;
  /** SkyPilot's accelerator name (`H100`), absent if nodes have none. */
  readonly accelerator?: string;
  /** Set if its nodes are spot instances; never with a control plane of its own. */
  readonly spot?: Spot;
  readonly nodes: readonly NodePlan[];
}

/** Workers that must be registered with the frontend before the deployment is ready. */
export interface ExpectedWorkers {
  readonly aggregated: number;
  readonly prefill: number;
  readonly decode: number;
  readonly encode: number;
}

/** A whole deployment, as planned from its configuration: what runs where. */
export interface DeploymentPlan {
  /** Name of the model in requests. */
  readonly model: string;
  /** Task of the requests. */
  readonly task: TaskName;
  readonly engine: EngineName;
  readonly routerMode: string;
  readonly clusters: readonly ClusterPlan[];
  /** The endpoint for clients: cluster, node and port. */
  readonly endpoint: { readonly cluster: string; readonly rank: number; readonly port: number };
  /** Dynamo namespace of the workers. */
  readonly namespace: string;
  readonly expectedWorkers: ExpectedWorkers;
}

/** All programs of all nodes. */
export function programsOf({ clusters }: Pick<DeploymentPlan, "clusters">): ProgramPlan[] {
  return clusters.flatMap(({ nodes }) => nodes.flatMap(({ programs }) => programs));
}
