/** Pools whose number of replicas changes between two bounds. Pure. */

import type { DeploymentConfig } from "../config/deployment";
import { isScaled, mostReplicas } from "../config/pools";
import type { WorkerRole } from "./types";

/** Replicas of the pools that change, by role: such a pool is the only one of its role. */
export type Replicas = Readonly<Partial<Record<WorkerRole, number>>>;

/** The bounds of a pool, and how many replicas it has. */
export interface ScaledPool {
  readonly role: WorkerRole;
  readonly min: number;
  readonly max: number;
  readonly replicas: number;
}

export function scaledPools({ pools }: Pick<DeploymentConfig, "pools">): ScaledPool[] {
  return pools.filter(isScaled).map((pool) => {
    const { role, replicas, minReplicas = 1 } = pool;
    return { role, min: minReplicas, max: mostReplicas(pool), replicas };
  });
}

export function isAutoscaled({ pools }: Pick<DeploymentConfig, "pools">): boolean {
  return pools.some(isScaled);
}

/**
 * The deployment with other numbers of replicas, each kept within its bounds; other pools are not changed.
 */
export function withReplicas(config: DeploymentConfig, replicas: Replicas): DeploymentConfig {
  const pools = config.pools.map((pool) => {
    const wanted = replicas[pool.role];
    if (wanted === undefined || !isScaled(pool)) return pool;
    const { minReplicas = 1 } = pool;
    return { ...pool, replicas: Math.min(Math.max(wanted, minReplicas), mostReplicas(pool)) };
  });
  return { ...config, pools };
}

/** The deployment with as many replicas as it may ever have: what nodes, GPUs and ports are kept for. */
export function atMost(config: DeploymentConfig): DeploymentConfig {
  return withReplicas(
    config,
    Object.fromEntries(scaledPools(config).map(({ role, max }): [WorkerRole, number] => [role, max])),
  );
}
