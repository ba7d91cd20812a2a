/** From a checked configuration to the deployment plan: what runs where, on which GPUs and ports. */
import { CONTROL_IP, HEAD_IP, rankAddress } from "./addresses";
import type { DeploymentConfig } from "./config";
import { gpusPerReplica } from "./config";
import { NAMESPACE, type PlanContext, type PlanFacts } from "./context";
import { gpuLimitProblems } from "./cost";
import { engines } from "./engines";
import { range } from "./packing";
import { type ClusterLayout, placeReplicas } from "./placement";
import { firstPort, NodePorts } from "./ports";
import { ConfigError, type Problem } from "./problems";
import { controlPlanePrograms } from "./programs/controlPlane";
import { entrancePrograms } from "./programs/gateway";
import { registeredWorkers, replicaPrograms } from "./programs/worker";
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
export function plan(config: DeploymentConfig, facts: PlanFacts): DeploymentPlan {
  const { clusters, problems } = placeReplicas(config);
  const found = [...problems, ...shapeProblems(config), ...argumentProblems(config)];
  if (found.length > 0) throw new ConfigError(found);
  const planned = clusters.map((layout) =>
    planCluster({ config, facts, controlHost: layout.hasControlPlane ? HEAD_IP : CONTROL_IP }, layout),
  );
  const outOfPorts = distinct(planned.flatMap(({ problems }) => problems));
  const tooMany = gpuLimitProblems(
    config,
    planned.map(({ cluster }) => cluster),
  );
  if (outOfPorts.length + tooMany.length > 0) throw new ConfigError([...outOfPorts, ...tooMany]);
  const head = clusters.find((layout) => layout.hasControlPlane);
  return {
    model: config.servedModelName,
    engine: config.engine,
    routerMode: config.router.mode,
    clusters: planned.map(({ cluster }) => cluster),
    endpoint: { cluster: head?.name ?? "", rank: 0, port: firstPort(config, "http") },
    namespace: NAMESPACE,
    expectedWorkers: expectedWorkers(config),
  };
}

/** Nodes that a replica of the pool is spread over. */
function nodesOf(config: DeploymentConfig, pool: DeploymentConfig["pools"][number]): number {
  return Math.ceil(gpusPerReplica(pool) / config.cluster.gpusPerNode);
}

/** What the engine cannot do with replicas of these shapes. */
function shapeProblems(config: DeploymentConfig): Problem[] {
  return config.pools.flatMap((pool, index) =>
    engines[config.engine]
      .shapeProblems({ config, pool, nodes: nodesOf(config, pool) })
      .map(({ key, message }) => ({ path: ["pools", index, key], message })),
  );
}

/** Arguments that would undo what the plan settles. */
function argumentProblems(config: DeploymentConfig): Problem[] {
  const { settledFlags } = engines[config.engine];
  const lists = [
    { path: ["engineArgs"], given: config.engineArgs },
    ...config.pools.map((pool, index) => ({ path: ["pools", index, "engineArgs"], given: pool.engineArgs })),
  ];
  return lists.flatMap(({ path, given }) =>
    given.flatMap((argument, index): Problem[] => {
      const flag = argument.replace(/=.*/s, "").replace(/^--no-/, "--");
      if (!Object.hasOwn(settledFlags, flag)) return [];
      const instead = settledFlags[flag];
      const remedy = instead === undefined ? "it follows from pools and cluster" : `use ${instead} instead`;
      return [{ path: [...path, index], message: `${flag} is settled by the plan. Remove it; ${remedy}.` }];
    }),
  );
}

function expectedWorkers(config: DeploymentConfig): ExpectedWorkers {
  const of = (role: WorkerRole) =>
    config.pools
      .filter((pool) => pool.role === role)
      .reduce((sum, pool) => sum + pool.replicas * registeredWorkers(config, pool, nodesOf(config, pool)), 0);
  return { aggregated: of("aggregated"), prefill: of("prefill"), decode: of("decode") };
}

/** Every node that runs out of ports says so; once is enough. */
function distinct(problems: readonly Problem[]): Problem[] {
  return [...new Map(problems.map((problem) => [problem.path.join("."), problem])).values()];
}

interface PlannedCluster {
  readonly cluster: ClusterPlan;
  readonly problems: readonly Problem[];
}

function planCluster(context: PlanContext, layout: ClusterLayout): PlannedCluster {
  const nodes = range(0, layout.nodes).map((rank) => {
    const ports = new NodePorts(context.config);
    const isHead = layout.hasControlPlane && rank === 0;
    const programs: ProgramPlan[] = isHead
      ? [...controlPlanePrograms(context, ports), ...entrancePrograms(context, ports)]
      : [];
    return { rank, ports, programs };
  });
  const at = (rank: number) => {
    const node = nodes[rank];
    if (node === undefined) throw new RangeError(`cluster ${layout.name} has no node ${rank}`);
    return node;
  };
  for (const seat of layout.seats) {
    const seated = replicaPrograms(context, seat, (node) => at(node).ports, rankAddress);
    for (const { node, program } of seated) at(node).programs.push(program);
  }
  const { accelerator } = layout;
  return {
    cluster: {
      name: layout.name,
      ...(accelerator === undefined ? {} : { accelerator }),
      nodes: nodes.map(
        ({ rank, programs }): NodePlan => ({
          rank,
          gpus: layout.gpusPerNode,
          idleGpus: layout.idle[rank] ?? [],
          programs,
        }),
      ),
    },
    problems: nodes.flatMap(({ ports }) => ports.problems()),
  };
}
