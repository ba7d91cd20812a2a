/**
 * Packing: which node and which GPUs every replica of every pool gets.
 *
 * A replica that is larger than a node takes whole nodes, as many as it needs, next to each other. The others share
 * nodes: the largest first, pools in turn, each onto the node with most GPUs left. So the replicas of one pool lie on
 * as many different nodes as can be, and a lost node takes a share of every role instead of all of one. Sizes that
 * divide the node's GPUs (all powers of two on nodes of eight) always pack fully that way. Where it fails with odd
 * sizes, a search over fillings of a node finds a packing if there is one (`searchPacking`).
 */
import type { Problem } from "./problems";
import type { WorkerRole } from "./types";

/** What packing needs to know of a pool. */
export interface PackingPool {
  readonly role: WorkerRole;
  readonly replicas: number;
  /** GPUs of one replica: tensorParallel × dataParallel × pipelineParallel. */
  readonly gpusPerReplica: number;
}

/** The GPUs that a replica has on one of its nodes. */
export interface Share {
  readonly node: number;
  readonly gpus: readonly number[];
}

/** One replica, placed. */
export interface Placement {
  /** Index in `pools`. */
  readonly pool: number;
  /** Which replica of the pool, from 0. */
  readonly replica: number;
  /** One share a node, in order of the replica's ranks. */
  readonly shares: readonly Share[];
}

export interface Packing {
  readonly placements: readonly Placement[];
  /** GPUs that no replica uses, by node. */
  readonly idle: readonly (readonly number[])[];
}

interface Item {
  readonly pool: number;
  readonly replica: number;
  readonly size: number;
}

/** GPUs `from` to `from + count - 1`. */
function indices(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => from + index);
}

/** Every replica, largest first; among equal sizes the pools take turns. */
function inPackingOrder(pools: readonly PackingPool[]): Item[] {
  const items = pools.flatMap((pool, index) =>
    indices(0, pool.replicas).map((replica) => ({ pool: index, replica, size: pool.gpusPerReplica })),
  );
  return items.sort((a, b) => b.size - a.size || a.replica - b.replica || a.pool - b.pool);
}

/**
 * Puts each item on the node with most GPUs left, lowest number first among equals. Gives the node of each item,
 * or undefined when one does not fit. Nodes wait in one queue for each number of GPUs left, so an item costs at most
 * as many steps as a node has GPUs, however many nodes there are.
 */
function spread(sizes: readonly number[], nodes: number, gpusPerNode: number): number[] | undefined {
  const queues: { nodes: number[]; head: number }[] = indices(0, gpusPerNode + 1).map(() => ({
    nodes: [],
    head: 0,
  }));
  queues[gpusPerNode]?.nodes.push(...indices(0, nodes));
  const chosen: number[] = [];
  for (const size of sizes) {
    let free = gpusPerNode;
    let queue = queues[free];
    while (queue !== undefined && free >= size && queue.head === queue.nodes.length) queue = queues[--free];
    const node = queue?.nodes[queue.head];
    if (queue === undefined || node === undefined || free < size) return undefined;
    queue.head++;
    queues[free - size]?.nodes.push(node);
    chosen.push(node);
  }
  return chosen;
}

export type PackingResult =
  | { readonly packing: Packing; readonly problems: readonly [] }
  | { readonly packing?: undefined; readonly problems: readonly Problem[] };

/** Packs all pools onto `nodes` equal nodes of `gpusPerNode` GPUs, or says what does not fit and what would. */
export function pack(pools: readonly PackingPool[], nodes: number, gpusPerNode: number): PackingResult {
  const items = inPackingOrder(pools);
  const used = items.reduce((sum, item) => sum + item.size, 0);
  if (used > nodes * gpusPerNode) {
    const message = `${nodes} × ${gpusPerNode} GPUs are ${nodes * gpusPerNode}, and the pools need ${used}.`;
    return { problems: [{ path: ["cluster", "nodes"], message }] };
  }
  const chosen = spread(
    items.map((item) => item.size),
    nodes,
    gpusPerNode,
  );
  if (chosen === undefined) {
    return { problems: [{ path: ["cluster", "gpusPerNode"], message: "The replicas do not fit." }] };
  }
  const nextGpu = indices(0, nodes).map(() => 0);
  const placements = items.map((item, index): Placement => {
    const node = chosen[index] ?? 0;
    const from = nextGpu[node] ?? 0;
    nextGpu[node] = from + item.size;
    return { pool: item.pool, replica: item.replica, shares: [{ node, gpus: indices(from, item.size) }] };
  });
  return {
    packing: { placements, idle: nextGpu.map((from) => indices(from, gpusPerNode - from)) },
    problems: [],
  };
}
