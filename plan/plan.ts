/** From a validated configuration to the deployment plan: nodes, GPUs and ports of all programs. */

import type { DeploymentConfig } from "../config/deployment";
import { isSlurm } from "../config/infra";
import { hasExporters } from "../config/metrics";
import { NAMESPACE } from "../config/names";
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
import { registeredWorkers, replicaPrograms } from "./programs/worker";
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
  const { clusters, problems } = placeReplicas(config);
  const found = [...problems, ...engineProblems(config)];
  if (found.length > 0) throw new ConfigError(found);
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
    clusters: planned.map(({ cluster }) => cluster),
    endpoint: { cluster: head?.name ?? "", rank: 0, port: firstPort(config, "http") },
    namespace: NAMESPACE,
    expectedWorkers: expectedWorkers(config),
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
      ? [...controlPlanePrograms(context, ports), ...endpointPrograms(context, ports)]
      : [];
    return { rank, ports, programs };
  });
  const at = (rank: number) => {
    const node = nodes[rank];
    if (node === undefined) throw new RangeError(`cluster ${layout.name} has no node ${rank}`);
    return node;
  };
  for (const seat of layout.seats) {
    const seated = replicaPrograms(context, seat, (node) => at(node).ports);
    for (const { node, program } of seated) at(node).programs.push(program);
  }
  if (hasExporters(context.config)) {
    for (const node of nodes) {
      const { rank, programs, ports } = node;
      const isHead = layout.hasControlPlane && rank === 0;
      const exported = { cluster: layout.name, rank, number: before + rank, isHead, programs };
      programs.push(exporterProgram(context, exported, ports));
    }
  }
  const { accelerator } = layout;
  const sharesGpus = context.config.cluster.workersPerGpu > 1;
  return {
    context,
    cluster: {
      name: layout.name,
      ...(accelerator === undefined ? {} : { accelerator }),
      nodes: nodes.map(
        ({ rank, programs }): NodePlan => ({
          rank,
          gpus: layout.gpusPerNode,
          idleGpus: layout.idle[rank] ?? [],
          programs: sharesGpus ? inTurn(programs, context.config.timeouts.readySeconds) : programs,
        }),
      ),
    },
    ports: nodes.map(({ ports }) => ports),
  };
}
