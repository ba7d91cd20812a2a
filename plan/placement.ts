/** The clusters, and the placement of each replica. */

import type { DeploymentConfig, PoolConfig } from "../config/deployment";
import { gpusPerReplica, type Spot, spotOf } from "../config/pools";
import type { Problem } from "../config/problems";
import { isSimulated } from "../engines";
import { type Packing, pack, range } from "./packing";
import { problemsOfIdleGpus, problemsOfSize } from "./packingProblems";
import type { ReplicaSeat } from "./programs/worker";
import { packShared } from "./sharing";

/** A cluster without its programs. */
export interface ClusterLayout {
  readonly name: string;
  /** SkyPilot's name of the nodes' GPUs; undefined if they have none. */
  readonly accelerator: string | undefined;
  /** Undefined if its nodes are no spot instances. */
  readonly spot: Spot | undefined;
  readonly nodes: number;
  readonly gpusPerNode: number;
  /** Unused GPUs, by node. */
  readonly idle: readonly (readonly number[])[];
  /** True for the cluster whose rank 0 has the control plane and the frontends. */
  readonly hasControlPlane: boolean;
  readonly seats: readonly ReplicaSeat[];
}

export interface Placed {
  readonly clusters: readonly ClusterLayout[];
  readonly problems: readonly Problem[];
}

/** Name of the only cluster with shared placement. */
const SHARED_CLUSTER = "main";
/** Name of the CPU cluster with dedicated placement. */
const CONTROL_CLUSTER = "control";

export function placeReplicas(config: DeploymentConfig): Placed {
  return config.placement === "shared" ? placeShared(config) : placeDedicated(config);
}

/** GPUs have a name only with SkyPilot. */
export function acceleratorOf(config: DeploymentConfig, pool?: PoolConfig): string | undefined {
  return config.target === "local" ? undefined : (pool?.accelerator ?? config.cluster.accelerator);
}

function sized(config: DeploymentConfig) {
  return config.pools.map((pool) => ({ ...pool, gpusPerReplica: gpusPerReplica(pool) }));
}

/** One cluster for everything; its head also has the control plane and the frontends. */
function placeShared(config: DeploymentConfig): Placed {
  const { nodes, gpusPerNode, workersPerGpu, allowIdleGpus } = config.cluster;
  const pools = sized(config);
  const { packing, problems } = workersPerGpu > 1 ? packShared(config) : pack(pools, nodes, gpusPerNode);
  if (packing === undefined) return { clusters: [], problems };
  const cluster: ClusterLayout = {
    name: SHARED_CLUSTER,
    accelerator: acceleratorOf(config),
    spot: config.target === "sky" && config.sky.useSpot ? { fallback: false } : undefined,
    nodes,
    gpusPerNode,
    idle: packing.idle,
    hasControlPlane: true,
    seats: seatsOf(config, packing),
  };
  const idle = allowIdleGpus
    ? []
    : problemsOfIdleGpus(pools, { nodes, gpusPerNode }, packing.idle, sizeFirst(config, pools));
  return { clusters: [cluster], problems: idle };
}

/**
 * One worker on one GPU is what a stack has that says no pools, where the best ones are not known
 * (`bestLayout`). As many of them as there are GPUs may not even hold the model.
 */
function sizeFirst({ engine, model, cluster }: DeploymentConfig, pools: ReturnType<typeof sized>): string[] {
  const [only, ...others] = pools;
  const isOne = only?.replicas === 1 && only.gpusPerReplica === 1 && others.length === 0;
  if (!isOne || isSimulated(engine)) return [];
  return [
    `let \`dynamo-sky size --model ${model} --gpus ${cluster.nodes * cluster.gpusPerNode}\` choose pools (without any there is one worker on one GPU)`,
  ];
}

function seatsOf(config: DeploymentConfig, packing: Packing): ReplicaSeat[] {
  const firsts = firstReplicas(config);
  return packing.placements.flatMap((placement): ReplicaSeat[] => {
    const pool = config.pools[placement.pool];
    const first = firsts[placement.pool] ?? 0;
    return pool === undefined ? [] : [{ pool, replica: first + placement.replica, shares: placement.shares }];
  });
}

/** Index of each pool's first replica within its role: replicas are numbered across the pools of a role. */
function firstReplicas({ pools }: DeploymentConfig): number[] {
  const next = new Map<string, number>();
  return pools.map(({ role, replicas }) => {
    const first = next.get(role) ?? 0;
    next.set(role, first + replicas);
    return first;
  });
}

/**
 * A CPU cluster for control plane and frontends, and a cluster per replica, with exactly the nodes and GPUs
 * that it needs. So nothing is idle, and replicas scale, move and fail independently.
 */
function placeDedicated(config: DeploymentConfig): Placed {
  const { gpusPerNode } = config.cluster;
  const firsts = firstReplicas(config);
  const problems = problemsOfSize(sized(config), { nodes: 1, gpusPerNode });
  if (problems.length > 0) return { clusters: [], problems };
  const control: ClusterLayout = {
    name: CONTROL_CLUSTER,
    accelerator: undefined,
    // Its loss would stop the whole deployment.
    spot: undefined,
    nodes: 1,
    gpusPerNode: 0,
    idle: [[]],
    hasControlPlane: true,
    seats: [],
  };
  const workers = config.pools.flatMap((pool, index) =>
    range(0, pool.replicas).map((replica) => ({
      ...ownCluster(config, pool, (firsts[index] ?? 0) + replica),
      spot: spotOf(pool, config.sky.useSpot, replica),
    })),
  );
  return { clusters: [control, ...workers], problems: [] };
}

function ownCluster(
  config: DeploymentConfig,
  pool: PoolConfig,
  replica: number,
): Omit<ClusterLayout, "spot"> {
  const gpus = gpusPerReplica(pool);
  const nodes = Math.max(1, gpus / config.cluster.gpusPerNode);
  const gpusPerNode = Math.min(gpus, config.cluster.gpusPerNode);
  return {
    name: `${pool.role}-${replica}`,
    accelerator: acceleratorOf(config, pool),
    nodes: Math.ceil(nodes),
    gpusPerNode,
    idle: range(0, Math.ceil(nodes)).map(() => []),
    hasControlPlane: false,
    seats: [
      {
        pool,
        replica,
        shares: range(0, Math.ceil(nodes)).map((node) => ({ node, gpus: range(0, gpusPerNode) })),
      },
    ],
  };
}
