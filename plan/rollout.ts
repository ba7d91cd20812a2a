/** Which units are changed one after the other, and how. Pure. */
import type { DeploymentConfig } from "../config/deployment";
import { type TaskName, tasks } from "../config/task";
import type { UpdateStrategy } from "../config/update";
import type { RollingPool, Rollout } from "../lib/unitRollout";
import { type DeploymentPlan, type ProgramRole, WORKER_ROLES } from "./types";
import { type Unit, unitsOf } from "./units";

/** How the units of a deployment are changed while it serves. */
export interface RolloutPlan extends Omit<Rollout, "request"> {
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

const WORKER_PINS: Readonly<Partial<Record<ProgramRole, RollingPool["pin"]>>> = {
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
