/**
 * Requests of a configuration that the engine does not support, and arguments that conflict with the plan.
 */

import { ENGINES, type EngineName } from "../config/names";
import { gpusPerReplica } from "../config/pools";
import type { Problem } from "../config/problems";
import { reservedFlag } from "../config/reserved";
import type { DeploymentConfig, PoolConfig } from "./config";
import { engines } from "./engines";
import { engineConfigProblems } from "./engines/engineConfig";
import { transferProblems } from "./engines/transfer";

/** Every reason why the engine cannot be started as configured. */
export function engineProblems(config: DeploymentConfig): Problem[] {
  const { transfer, reservedKeys } = engines[config.engine];
  return [
    ...taskProblems(config),
    ...shapeProblems(config),
    ...argumentProblems(config),
    ...transferProblems(config, transfer),
    ...engineConfigProblems(config, reservedKeys),
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

/** Arguments that conflict with the plan. */
function argumentProblems(config: DeploymentConfig): Problem[] {
  const { reservedFlags } = engines[config.engine];
  const lists = [
    { path: ["engineArgs"], given: config.engineArgs },
    ...config.pools.map((pool, index) => ({ path: ["pools", index, "engineArgs"], given: pool.engineArgs })),
  ];
  return lists.flatMap(({ path, given }) =>
    given.flatMap((argument, index): Problem[] => {
      const reserved = reservedFlag(reservedFlags, argument);
      if (reserved === undefined) return [];
      const { flag, instead } = reserved;
      const remedy = instead === undefined ? "it follows from pools and cluster" : `use ${instead} instead`;
      return [{ path: [...path, index], message: `${flag} is set by the plan. Remove it; ${remedy}.` }];
    }),
  );
}
