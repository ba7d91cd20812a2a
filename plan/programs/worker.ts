/** Engine workers: one process for each node of a replica. */
import { NODE_IP } from "../addresses";
import type { PlanContext } from "../context";
import { engineFor } from "../engines";
import type { Placement } from "../packing";
import type { NodePorts } from "../ports";
import type { ProgramPlan } from "../types";
import { controlPlaneWaits } from "./controlPlane";
import { dynamoEnvironment } from "./environment";

/** Which process of which replica. */
export interface WorkerSeat {
  readonly placement: Placement;
  /** Number of the replica among all of its role; the pools of a role are numbered through. */
  readonly replica: number;
  /** Which of the replica's nodes. */
  readonly rank: number;
}

export function workerProgram(
  context: PlanContext,
  seat: WorkerSeat,
  ports: NodePorts,
): ProgramPlan | undefined {
  const { config } = context;
  const pool = config.pools[seat.placement.pool];
  const share = seat.placement.shares[seat.rank];
  if (pool === undefined || share === undefined) return undefined;
  const system = ports.take("system");
  const rpc = ports.take("rpc");
  const start = engineFor(config.engine).start({
    config,
    pool,
    rank: seat.rank,
    nodes: seat.placement.shares.length,
  });
  const name = `${pool.role}-${seat.replica}`;
  return {
    name: seat.rank === 0 ? name : `${name}-rank${seat.rank}`,
    role: pool.role,
    replica: seat.replica,
    rank: seat.rank,
    command: start.command,
    env: {
      ...dynamoEnvironment(context),
      DYN_TCP_RPC_PORT: String(rpc),
      DYN_SYSTEM_HOST: NODE_IP,
      DYN_SYSTEM_PORT: String(system),
      // Without it /health and /live answer 503 while the worker serves.
      DYN_SYSTEM_USE_ENDPOINT_HEALTH_STATUS: '["generate"]',
      ...start.env,
    },
    secretEnv: [],
    gpus: share.gpus,
    ports: { system, rpc },
    waitsFor: controlPlaneWaits(context),
    health: { kind: "http", url: `http://${NODE_IP}:${system}/health` },
    stopSeconds: config.timeouts.stopSeconds,
  };
}
