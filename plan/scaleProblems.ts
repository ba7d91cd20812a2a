/** Why the planner cannot decide how many replicas a pool has. Pure. */
import type { DeploymentConfig } from "../config/deployment";
import { isScaled } from "../config/pools";
import type { Problem } from "../config/problems";
import { nodesOf } from "./engineProblems";
import { registeredWorkers } from "./programs/worker";

/** The planner counts workers and gets as many; here one more is a replica more. */
export function scaleProblems(config: DeploymentConfig): Problem[] {
  return config.pools.flatMap((pool, index) => {
    const workers = isScaled(pool) ? registeredWorkers(config, pool, nodesOf(config, pool)) : 1;
    if (workers === 1) return [];
    const message = `${pool.maxReplicas} cannot be kept: a replica of this shape is ${workers} workers to the planner, which counts them one by one. Remove it, and set replicas.`;
    return [{ path: ["pools", index, "maxReplicas"], message }];
  });
}
