/** From a checked configuration to the deployment plan: what runs where, on which GPUs and ports. */
import { HEAD_IP } from "./addresses";
import { NAMESPACE, type PlanContext, type PlanFacts } from "./context";
import type { DeploymentInput } from "./input";
import { type Packing, pack } from "./packing";
import { DEFAULT_PORTS, NodePorts } from "./ports";
import { ConfigError } from "./problems";
import { controlPlanePrograms } from "./programs/controlPlane";
import { frontendPrograms } from "./programs/frontend";
import { workerProgram } from "./programs/worker";
import type {
  ClusterPlan,
  DeploymentPlan,
  ExpectedWorkers,
  NodePlan,
  ProgramPlan,
  WorkerRole,
} from "./types";

export type { PlanFacts } from "./context";

/**
 * Plans a deployment. Pure: the same input gives a byte-identical plan.
 * @throws ConfigError listing every reason why the deployment cannot be planned.
 */
export function plan(config: DeploymentInput, facts: PlanFacts): DeploymentPlan {
  const context: PlanContext = {
    config,
    facts,
    ports: { ...DEFAULT_PORTS, http: config.frontend.port },
    controlHost: HEAD_IP,
  };
  const { packing, problems } = pack(
    config.pools.map((pool) => ({
      role: pool.role,
      replicas: pool.replicas,
      gpusPerReplica: pool.tensorParallel * pool.dataParallel * pool.pipelineParallel,
    })),
    config.cluster.nodes,
    config.cluster.gpusPerNode,
  );
  if (packing === undefined) throw new ConfigError(problems);
  return {
    model: config.servedModelName,
    engine: config.engine,
    routerMode: config.router.mode,
    clusters: [sharedCluster(context, packing)],
    endpoint: { cluster: "main", rank: 0, port: config.frontend.port },
    namespace: NAMESPACE,
    expectedWorkers: expectedWorkers(config),
  };
}

function expectedWorkers(config: DeploymentInput): ExpectedWorkers {
  const of = (role: WorkerRole) =>
    config.pools.filter((pool) => pool.role === role).reduce((sum, pool) => sum + pool.replicas, 0);
  return { aggregated: of("aggregated"), prefill: of("prefill"), decode: of("decode") };
}

/** One cluster for everything; its head also has the control plane and the frontends. */
function sharedCluster(context: PlanContext, packing: Packing): ClusterPlan {
  const { cluster } = context.config;
  const seats = packing.placements.flatMap((placement) => {
    const replica = replicaOfRole(context.config, placement.pool, placement.replica);
    return placement.shares.map((share, rank) => ({ placement, replica, rank, node: share.node }));
  });
  const nodes = Array.from({ length: cluster.nodes }, (_, rank): NodePlan => {
    const ports = new NodePorts(context.ports);
    const programs: ProgramPlan[] =
      rank === 0 ? [...controlPlanePrograms(context, ports), ...frontendPrograms(context, ports)] : [];
    for (const seat of seats) {
      const program = seat.node === rank ? workerProgram(context, seat, ports) : undefined;
      if (program !== undefined) programs.push(program);
    }
    return { rank, gpus: cluster.gpusPerNode, idleGpus: packing.idle[rank] ?? [], programs };
  });
  return {
    name: "main",
    ...(cluster.accelerator === undefined ? {} : { accelerator: cluster.accelerator }),
    nodes,
  };
}

/** A replica's number within its role: pools of one role are numbered through. */
function replicaOfRole(config: DeploymentInput, pool: number, replica: number): number {
  const role = config.pools[pool]?.role;
  return config.pools
    .slice(0, pool)
    .reduce((sum, other) => sum + (other.role === role ? other.replicas : 0), replica);
}
