/**
 * Requests of a configuration that the engine does not support. Arguments: `argumentProblems.ts`.
 */

import type { DeploymentConfig, PoolConfig } from "../config/deployment";
import { gpusPerReplica } from "../config/pools";
import type { Problem } from "../config/problems";
import { ENGINES, type EngineName, engines } from "../engines";
import { argumentProblems } from "./argumentProblems";
import { engineConfigProblems } from "./engineConfigProblems";
import { transferProblems } from "./transferProblems";

/** Every reason why the engine cannot be started as configured. */
export function engineProblems(config: DeploymentConfig): Problem[] {
  const engine = engines[config.engine];
  const spans = config.pools.filter((pool) => nodesOf(config, pool) > 1);
  return [
    ...taskProblems(config),
    ...shapeProblems(config),
    ...argumentProblems(config, spans),
    ...transferProblems(config, engine.transfer),
    ...engineConfigProblems(config, engine),
  ];
}

/** Number of nodes of one replica of the pool. */
export function nodesOf(config: DeploymentConfig, pool: PoolConfig): number {
  return Math.ceil(gpusPerReplica(pool) / config.cluster.gpusPerNode);
}

/** A task that the engine does not support. */
function taskProblems({ engine, task }: DeploymentConfig): Problem[] {
  const having = (one: EngineName) => Object.keys(engines[one].taskFlags);
  if (having(engine).includes(task)) return [];
  const others = ENGINES.filter((one) => having(one).includes(task));
  const message =
    `"${task}" is not possible with engine ${engine}. Allowed: ${having(engine).join(", ")}. ` +
    `It is with engine ${others.join(", ")}.`;
  return [{ path: ["task"], message }];
}

/** Replica shapes that the engine does not support. */
function shapeProblems(config: DeploymentConfig): Problem[] {
  return config.pools.flatMap((pool, index) =>
    (engines[config.engine].shapeProblems?.({ config, pool, nodes: nodesOf(config, pool) }) ?? []).map(
      ({ key, message }) => ({ path: ["pools", index, key], message }),
    ),
  );
}
