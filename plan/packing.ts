/**
 * Packing: assigns nodes and GPUs to every replica of every pool.
 *
 * A replica larger than a node gets as many consecutive whole nodes as it needs. The others share nodes:
 * largest first, pool by pool, each on the node with most GPUs left. So the replicas of a pool are spread
 * over as many nodes as possible, and a lost node takes a share of every role instead of all of one. Sizes
 * that divide the node's GPUs (all powers of two on nodes of eight) always pack fully that way. If it fails
 * with odd sizes, `packingSearch.ts` searches for any packing.
 */

import type { Problem } from "../config/problems";
import { problemsOfSize, problemsOfSpace } from "./packingProblems";
import { searchPacking } from "./packingSearch";
import type { WorkerRole } from "./types";

/** A pool, as far as packing needs it. */
export interface PackingPool {
  readonly role: WorkerRole;
  readonly replicas: number;
  /** GPUs of one replica. */
  readonly gpusPerReplica: number;
  /** Set if `replicas` is the most that there may be. */
  readonly maxReplicas?: number | undefined;
}

/** The nodes to pack onto, all equal. */
export interface PackingSpace {
  readonly nodes: number;
  readonly gpusPerNode: number;
}

/** The GPUs of a replica on one of its nodes. */
export interface Share {
  readonly node: number;
  readonly gpus: readonly number[];
}

/** One replica, placed. */
export interface Placement {
  /** Index in `pools`. */
  readonly pool: number;
  /** Index of the replica in the pool, from 0. */
  readonly replica: number;
  /** One share per node, in order of the replica's ranks. */
  readonly shares: readonly Share[];
}

export interface Packing {
  readonly placements: readonly Placement[];
  /** Unused GPUs, by node. */
  readonly idle: readonly (readonly number[])[];
}

export type PackingResult =
  | { readonly packing: Packing; readonly problems: readonly [] }
  | { readonly packing?: undefined; readonly problems: readonly Problem[] };

interface Item {
  readonly pool: number;
  readonly replica: number;
  readonly size: number;
}

/** `count` numbers starting at `from`. */
export function range(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => from + index);
}

/**
 * Packs all pools onto equal nodes, or reports what does not fit and what would. Unused GPUs are not a
 * problem here. Linear in the number of nodes and replicas.
 */
export function pack(pools: readonly PackingPool[], nodes: number, gpusPerNode: number): PackingResult {
  const space = { nodes, gpusPerNode };
  const badSizes = problemsOfSize(pools, space);
  if (badSizes.length > 0) return { problems: badSizes };
  const items = inPackingOrder(pools);
  const large = items.filter((item) => item.size > gpusPerNode);
  const small = items.filter((item) => item.size <= gpusPerNode);
  const wholeNodes = large.reduce((sum, item) => sum + item.size / gpusPerNode, 0);
  const sizes = small.map((item) => item.size);
  const free = nodes - wholeNodes;
  const chosen =
    free < 0 ? undefined : (spread(sizes, free, gpusPerNode) ?? searchPacking(sizes, free, gpusPerNode));
  if (chosen === undefined) return { problems: problemsOfSpace(pools, space) };
  return { packing: place(large, small, chosen, space), problems: [] };
}

/**
 * Every replica, largest first; equal sizes pool by pool, so that each pool is spread over the nodes
 * separately.
 */
function inPackingOrder(pools: readonly PackingPool[]): Item[] {
  const items = pools.flatMap((pool, index) =>
    range(0, pool.replicas).map((replica) => ({ pool: index, replica, size: pool.gpusPerReplica })),
  );
  return items.sort((a, b) => b.size - a.size || a.pool - b.pool || a.replica - b.replica);
}

/**
 * Puts each item on the node with most GPUs left, lowest index first among equals. Returns the node of each
 * item, or undefined if one does not fit. Nodes are kept in one queue per number of GPUs left, so an item
 * takes at most as many steps as a node has GPUs, regardless of the number of nodes.
 */
function spread(sizes: readonly number[], nodes: number, gpusPerNode: number): number[] | undefined {
  const queues: { nodes: number[]; head: number }[] = range(0, gpusPerNode + 1).map(() => ({
    nodes: [],
    head: 0,
  }));
  const full = queues[gpusPerNode];
  if (full !== undefined) full.nodes = range(0, nodes);
  const chosen: number[] = [];
  for (const size of sizes) {
    let free = gpusPerNode;
    let queue = queues[free];
    while (queue !== undefined && queue.head === queue.nodes.length) queue = queues[--free];
    const node = queue?.nodes[queue.head];
    if (queue === undefined || node === undefined || free < size) return undefined;
    queue.head++;
    queues[free - size]?.nodes.push(node);
    chosen.push(node);
  }
  return chosen;
}

/** Assigns GPU indices: whole nodes to the large replicas, then the others as in `chosen`. */
function place(
  large: readonly Item[],
  small: readonly Item[],
  chosen: readonly number[],
  { nodes, gpusPerNode }: PackingSpace,
): Packing {
  const used = new Array<number>(nodes).fill(0);
  let nextNode = 0;
  const placements = large.map(({ pool, replica, size }): Placement => {
    const own = range(nextNode, size / gpusPerNode);
    nextNode += own.length;
    for (const node of own) used[node] = gpusPerNode;
    return { pool, replica, shares: own.map((node) => ({ node, gpus: range(0, gpusPerNode) })) };
  });
  const firstShared = nextNode;
  small.forEach(({ pool, replica, size }, index) => {
    const node = firstShared + (chosen[index] ?? 0);
    const from = used[node] ?? 0;
    used[node] = from + size;
    placements.push({ pool, replica, shares: [{ node, gpus: range(from, size) }] });
  });
  return { placements, idle: used.map((count) => range(count, gpusPerNode - count)) };
}
