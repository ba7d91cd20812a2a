/** From a validated configuration to the deployment plan: nodes, GPUs and ports of all programs. */

import type { DeploymentConfig } from "../config/deployment";
import { isSlurm } from "../config/infra";
import { hasExporters } from "../config/metrics";
import { NAMESPACE } from "../config/names";
import { isScaled } from "../config/pools";
import { ConfigError, type Problem } from "../config/problems";
import { CONTROL_IP } from "../lib/placeholders";
import { uniqueBy } from "../lib/uniqueBy";
import { addressOf, type PlanContext, type PlanFacts } from "./context";
import { gpuLimitProblems } from "./cost";
import { engineProblems, nodesOf } from "./engineProblems";
import { alertsOf } from "./metrics/alerts";
import { range } from "./packing";
import { type ClusterLayout, placeReplicas } from "./placement";
import { firstPort, NodePorts } from "./ports";
import { controlPlanePrograms } from "./programs/controlPlane";
import { endpointPrograms } from "./programs/gateway";
import { exporterProgram, prometheusProgram } from "./programs/metrics";
import { plannerPrograms } from "./programs/planner";
import { type ReplicaSeat, registeredWorkers, replicaPrograms } from "./programs/worker";
import { atMost } from "./scale";
import { scaleProblems } from "./scaleProblems";
import { inTurn } from "./sharing";
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
  // Room is kept for all that may ever run, so that one replica more or fewer moves no other.
  const { clusters, problems } = placeReplicas(atMost(config));
  const found = [...problems, ...engineProblems(config), ...scaleProblems(config)];
  if (found.length > 0) throw new ConfigError(found);
  const { workersDown = false } = facts;
  const portsOf = portsOfNodes(config);
  const planned = clusters.map((layout, index) => {
    const controlHost = layout.hasControlPlane ? addressOf(config, 0) : CONTROL_IP;
    const context = { config, facts, controlHost };
    const before = clusters.slice(0, index).reduce((sum, { nodes }) => sum + nodes, 0);
    return planCluster(context, layout, { before, portsOf });
  });
  const head = clusters.find((layout) => layout.hasControlPlane);
  const unwatched: DeploymentPlan = {
    model: config.servedModelName,
    task: config.task,
    engine: config.engine,
    routerMode: config.router.mode,
    clusters: planned.filter(({ isUsed }) => isUsed).map(({ cluster }) => cluster),
    endpoint: { cluster: head?.name ?? "", rank: 0, port: firstPort(config, "http") },
    namespace: NAMESPACE,
    expectedWorkers: expectedWorkers(workersDown ? { ...config, pools: [] } : config),
  };
  const whole = config.metrics.prometheus ? watched(unwatched, planned) : unwatched;
  const outOfPorts = distinct(planned.flatMap(({ ports }) => ports.flatMap((one) => one.problems())));
  const tooMany = gpuLimitProblems(config, whole.clusters);
  if (outOfPorts.length + tooMany.length > 0) throw new ConfigError([...outOfPorts, ...tooMany]);
  return whole;
}

/** The plan with a Prometheus on its head. Added last, since it needs all other programs. */
function watched(unwatched: DeploymentPlan, planned: readonly PlannedCluster[]): DeploymentPlan {
  const clusters = planned.map(({ context, cluster, ports }) => {
    const [head, ...others] = cluster.nodes;
    const [headPorts] = ports;
    if (cluster.name !== unwatched.endpoint.cluster || head === undefined || headPorts === undefined)
      return cluster;
    const alerts = alertsOf(context.config, unwatched);
    const elsewhere = unwatched.clusters.filter(({ name }) => name !== cluster.name);
    const scraped = { cluster, others: elsewhere, alerts };
    const prometheus = prometheusProgram(context, scraped, headPorts);
    return { ...cluster, nodes: [{ ...head, programs: [...head.programs, prometheus] }, ...others] };
  });
  return { ...unwatched, clusters };
}

function expectedWorkers(config: DeploymentConfig): ExpectedWorkers {
  const of = (role: WorkerRole) =>
    config.pools
      .filter((pool) => pool.role === role)
      .reduce((sum, pool) => sum + pool.replicas * registeredWorkers(config, pool, nodesOf(config, pool)), 0);
  return { aggregated: of("aggregated"), prefill: of("prefill"), decode: of("decode"), encode: of("encode") };
}

/** Every node that runs out of ports reports it; once is enough. */
function distinct(problems: readonly Problem[]): Problem[] {
  return uniqueBy(problems, ({ path }) => path.join("."));
}

interface PlannedCluster {
  /** False if it is for replicas that the deployment does not have now. */
  readonly isUsed: boolean;
  readonly context: PlanContext;
  readonly cluster: ClusterPlan;
  /** By rank. */
  readonly ports: readonly NodePorts[];
}

/**
 * Assigns the ports of each node. On Slurm the clusters of one deployment may share a machine and must not
 * use each other's ports: there each port is assigned only once in the whole deployment.
 */
function portsOfNodes(config: DeploymentConfig): () => NodePorts {
  const mayShareMachines = config.placement === "dedicated" && config.sky.infra.some(isSlurm);
  if (!mayShareMachines) return () => new NodePorts(config);
  const all = new NodePorts(config);
  return () => all;
}

/** Whether a replica runs now: with `maxReplicas` there is room for others. */
function isTaken({ config: { pools }, facts }: PlanContext, { pool, replica }: ReplicaSeat): boolean {
  if (facts.workersDown) return false;
  const current = pools.find(({ role }) => role === pool.role)?.replicas ?? 0;
  return !isScaled(pool) || replica < current;
}

/** Without workers it has nothing to decide on; its ports stay its own. */
function plannersNow(context: PlanContext, ports: NodePorts): ProgramPlan[] {
  const planners = plannerPrograms(context, ports);
  return context.facts.workersDown ? [] : planners;
}

/** GPUs that nothing uses, with those that are kept for more replicas. */
function idleGpus(unused: readonly number[], kept: readonly number[], programs: readonly ProgramPlan[]) {
  const used = new Set(programs.flatMap(({ gpus }) => gpus));
  return [...new Set([...unused, ...kept])].filter((gpu) => !used.has(gpu)).toSorted((a, b) => a - b);
}

/** Data about the other clusters for a cluster's plan. */
interface Others {
  /** Number of nodes of the clusters before it. */
  readonly before: number;
  readonly portsOf: () => NodePorts;
}

function planCluster(
  context: PlanContext,
  layout: ClusterLayout,
  { before, portsOf }: Others,
): PlannedCluster {
  const nodes = range(0, layout.nodes).map((rank) => {
    const ports = portsOf();
    const isHead = layout.hasControlPlane && rank === 0;
    const programs: ProgramPlan[] = isHead
      ? [
          ...controlPlanePrograms(context, ports),
          ...endpointPrograms(context, ports),
          ...plannersNow(context, ports),
        ]
      : [];
    return { rank, ports, programs };
  });
  const at = (rank: number) => {
    const node = nodes[rank];
    if (node === undefined) throw new RangeError(`cluster ${layout.name} has no node ${rank}`);
    return node;
  };
  const free = new Map<number, number[]>();
  for (const seat of layout.seats) {
    const seated = replicaPrograms(context, seat, (node) => at(node).ports);
    if (isTaken(context, seat)) for (const { node, program } of seated) at(node).programs.push(program);
    else for (const { node, gpus } of seat.shares) free.set(node, [...(free.get(node) ?? []), ...gpus]);
  }
  if (hasExporters(context.config)) {
    for (const node of nodes) {
      const { rank, programs, ports } = node;
      const isHead = layout.hasControlPlane && rank === 0;
      const exported = { cluster: layout.name, rank, number: before + rank, isHead, programs };
      programs.push(exporterProgram(context, exported, ports));
    }
  }
  const { accelerator, spot } = layout;
  const sharesGpus = context.config.cluster.workersPerGpu > 1;
  return {
    isUsed: layout.hasControlPlane || layout.seats.some((seat) => isTaken(context, seat)),
    context,
    cluster: {
      name: layout.name,
      ...(accelerator === undefined ? {} : { accelerator }),
      ...(spot === undefined ? {} : { spot }),
      nodes: nodes.map(
        ({ rank, programs }): NodePlan => ({
          rank,
          gpus: layout.gpusPerNode,
          idleGpus: idleGpus(layout.idle[rank] ?? [], free.get(rank) ?? [], programs),
          programs: sharesGpus ? inTurn(programs, context.config.timeouts.readySeconds) : programs,
        }),
      ),
    },
    ports: nodes.map(({ ports }) => ports),
  };
}
