/** Which units are changed one after the other, and how. Pure. */
import type { DeploymentConfig } from "../config/deployment";
import { type TaskName, tasks } from "../config/task";
import type { UpdateStrategy } from "../config/update";
import { type DeploymentPlan, type ProgramRole, WORKER_ROLES } from "./types";
import { type Unit, unitsOf } from "./units";

/** Replicas that are changed one after the other. */
export interface RollingPool {
  /** `decode`, `frontend`; with a number where there are several pools of a role. */
  readonly name: string;
  readonly units: readonly {
    readonly cluster: string;
    readonly unit: string;
    /** Nodes of the cluster that have programs of it. */
    readonly ranks: readonly number[];
  }[];
  /** How many may be away at a time. */
  readonly maxUnavailable: number;
  /** How long a changed one must have served before the next one is changed. */
  readonly minReadySeconds: number;
  /**
   * What a prefill and a decode worker must share to exchange caches: those of another generation are changed
   * at once, since an old one must not meet a new one. Absent without disaggregation.
   */
  readonly generation?: string;
  /**
   * Request field with which Dynamo sends a request to one of its workers, and where the answer names it.
   * Absent where requests cannot be sent to one.
   */
  readonly pin?: WorkerPin;
}

interface WorkerPin {
  readonly ask: string;
  readonly seen: string;
}

/** How the units of a deployment are changed while it serves. */
export interface RolloutPlan {
  /** Pools whose replicas are changed one after the other; those of all others are changed at once. */
  readonly pools: readonly RollingPool[];
  /** Base URLs of the frontends for their own node; may hold placeholders. */
  readonly frontends: readonly string[];
  /** Cluster of the frontends; they are on its first node. */
  readonly home: string;
  readonly model: string;
  readonly task: TaskName;
}

/** The rollout of a deployment; undefined if nothing of it is changed one after the other. */
export function rolloutOf(config: DeploymentConfig, plan: DeploymentPlan): RolloutPlan | undefined {
  const units = plan.clusters.flatMap((cluster) => unitsOf(cluster));
  const groups = [
    { role: "frontend" as const, settings: [config.frontend] },
    ...WORKER_ROLES.map((role) => ({ role, settings: config.pools.filter((pool) => pool.role === role) })),
  ];
  const pools = groups.flatMap(({ role, settings }) =>
    poolsOf(role, settings, units).map((pool): RollingPool => {
      const generation = generationOf(config, role);
      const pin = plan.task === "chat" ? WORKER_PINS[role] : undefined;
      return { ...pool, ...(generation === undefined ? {} : { generation }), ...(pin && { pin }) };
    }),
  );
  if (pools.length === 0) return undefined;
  const frontends = units.flatMap((unit) => (unit.role === "frontend" ? baseUrls(unit) : []));
  return { pools, frontends, home: plan.endpoint.cluster, model: plan.model, task: plan.task };
}

/** Engine, model and parallelism of all workers of disaggregated pools. */
function generationOf({ engine, model, modelRevision, pools }: DeploymentConfig, role: ProgramRole) {
  if (role !== "prefill" && role !== "decode") return undefined;
  const parallel = pools
    .filter((pool) => pool.role === "prefill" || pool.role === "decode")
    .map((pool) => [pool.role, pool.tensorParallel, pool.dataParallel, pool.pipelineParallel].join("/"));
  return [engine, model, modelRevision ?? "", ...parallel].join(" ");
}

/** The rollout with other names of its clusters. */
export function withClusters(rollout: RolloutPlan, nameOf: (cluster: string) => string): RolloutPlan {
  return {
    ...rollout,
    home: nameOf(rollout.home),
    pools: rollout.pools.map((pool) => ({
      ...pool,
      units: pool.units.map((unit) => ({ ...unit, cluster: nameOf(unit.cluster) })),
    })),
  };
}

interface Settings {
  readonly replicas: number;
  readonly maxReplicas?: number | undefined;
  readonly update: {
    readonly strategy?: UpdateStrategy | undefined;
    readonly maxUnavailable: number;
    readonly minReadySeconds: number;
  };
}

function poolsOf(role: ProgramRole, settings: readonly Settings[], units: readonly Unit[]): RollingPool[] {
  let next = 0;
  return settings.flatMap(({ replicas, maxReplicas = replicas, update }, index) => {
    const first = next;
    next += replicas;
    if (maxReplicas === 1 || update.strategy === "recreate") return [];
    // Replicas are numbered across the pools of a role.
    const own = units.filter(
      (unit) => unit.role === role && unit.replica >= first && unit.replica < first + replicas,
    );
    return {
      name: settings.length === 1 ? role : `${role}-pool${index}`,
      units: own.map(({ cluster, name, nodes }) => ({
        cluster,
        unit: name,
        ranks: nodes.map(({ rank }) => rank),
      })),
      maxUnavailable: update.maxUnavailable,
      minReadySeconds: update.minReadySeconds,
    };
  });
}

function baseUrls({ nodes }: Unit): string[] {
  return nodes.flatMap(({ programs }) =>
    programs.flatMap(({ health }) => (health.kind === "http" ? baseUrl(health.url) : [])),
  );
}

/** Base URL of a frontend, from that of its health (`plan/programs/frontend.ts`). */
function baseUrl(healthUrl: string): string {
  return healthUrl.replace(/\/live$/, "");
}

const WORKER_PINS: Readonly<Partial<Record<ProgramRole, WorkerPin>>> = {
  aggregated: { ask: "backend_instance_id", seen: "decode_worker_id" },
  prefill: { ask: "prefill_worker_id", seen: "prefill_worker_id" },
  decode: { ask: "decode_worker_id", seen: "decode_worker_id" },
};

const ANSWER_TOKENS = 4;

/** The request that proves a replica, and whether its answer does. */
export function proofRequest({ model, task: name }: Pick<RolloutPlan, "model" | "task">) {
  const task = tasks[name];
  return {
    path: task.path,
    body: task.body(model, "Say hello.", ANSWER_TOKENS),
    isAnswer: (response: unknown) => task.read(response).isThere,
  };
}
