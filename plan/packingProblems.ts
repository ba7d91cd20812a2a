/** Explains why a packing fails: what was found, what is allowed, and a change that makes it fit. */

import { PARALLEL_KEYS } from "../config/pools";
import type { Problem } from "../config/problems";
import { counted, inWords } from "../lib/words";
import type { PackingPool, PackingSpace } from "./packing";

const gpus = (count: number): string => counted(count, "GPU");
const nodesOf = (count: number): string => counted(count, "node");

/** Replicas larger than a node that do not fill whole nodes. */
export function problemsOfSize(pools: readonly PackingPool[], { gpusPerNode }: PackingSpace): Problem[] {
  return pools.flatMap(({ gpusPerReplica: size }, index) => {
    if (size <= gpusPerNode || size % gpusPerNode === 0) return [];
    const below = Math.floor(size / gpusPerNode) * gpusPerNode;
    return [
      {
        path: ["pools", index, "tensorParallel"],
        message:
          `One replica takes ${gpus(size)} (${PARALLEL_KEYS.join(" × ")}), more than a node's ` +
          `${gpusPerNode} and no whole number of nodes. Allowed: up to ${gpusPerNode}, or a multiple of ${gpusPerNode}. ` +
          `Make it ${below} or ${below + gpusPerNode}, or change cluster.gpusPerNode.`,
      },
    ];
  });
}

/** Too few nodes, in total or because the sizes do not divide a node. */
export function problemsOfSpace(pools: readonly PackingPool[], space: PackingSpace): Problem[] {
  const { nodes, gpusPerNode } = space;
  const needed = pools.reduce((sum, pool) => sum + pool.replicas * pool.gpusPerReplica, 0);
  const there = nodes * gpusPerNode;
  const list = pools.map((pool) => `${pool.role} ${pool.replicas} × ${pool.gpusPerReplica}`).join(", ");
  const reason =
    needed > there
      ? `The pools take ${gpus(needed)} (${list}), and ${nodesOf(nodes)} of ${gpusPerNode} have ${there}.`
      : `The pools take ${gpus(needed)} of ${there} (${list}), but no arrangement of these sizes was found on ` +
        `${nodesOf(nodes)} of ${gpusPerNode}: a replica cannot be split over parts of nodes.`;
  return [
    {
      path: ["cluster", "nodes"],
      message: `${reason} Set it to ${nodesNeeded(pools, gpusPerNode)}, or lower replicas or parallelism.`,
    },
  ];
}

/** A sufficient number of nodes: first fit with separate nodes for each size. */
function nodesNeeded(pools: readonly PackingPool[], gpusPerNode: number): number {
  const sizes = pools
    .flatMap((pool) => new Array<number>(pool.replicas).fill(pool.gpusPerReplica))
    .sort((a, b) => b - a);
  let whole = 0;
  // Number of opened nodes by GPUs left; the fullest node that fits is used.
  const free = new Array<number>(gpusPerNode + 1).fill(0);
  for (const size of sizes) {
    if (size > gpusPerNode) {
      whole += size / gpusPerNode;
      continue;
    }
    const fits = free.findIndex((count, room) => room >= size && count > 0);
    const room = fits >= 0 ? fits : gpusPerNode;
    if (fits >= 0) free[fits] = (free[fits] ?? 0) - 1;
    else whole++;
    free[room - size] = (free[room - size] ?? 0) + 1;
  }
  return whole;
}

/**
 * GPUs that are paid for and unused.
 * @param remedy What is said first of what to do.
 */
export function problemsOfIdleGpus(
  pools: readonly PackingPool[],
  { nodes, gpusPerNode }: PackingSpace,
  idle: readonly (readonly number[])[],
  remedy: readonly string[] = [],
): Problem[] {
  const count = idle.reduce((sum, free) => sum + free.length, 0);
  if (count === 0) return [];
  const where = idle.flatMap((free, node) => (free.length > 0 ? [`node ${node}: ${free.length}`] : []));
  const shown = where.length > 4 ? [...where.slice(0, 3), `${where.length - 3} more nodes`] : where;
  const remedies = [...remedy, ...moreReplicas(pools, idle), ...fewerGpus(pools, nodes, gpusPerNode)];
  return [
    {
      path: ["cluster", "allowIdleGpus"],
      message:
        `${count} of ${gpus(nodes * gpusPerNode)} would sit idle (${shown.join(", ")}). ` +
        `${inWords([...remedies, "set this to true to accept it"])}.`,
    },
  ];
}

/** The pool whose replicas would fill all idle GPUs, if there is one. */
function moreReplicas(pools: readonly PackingPool[], idle: readonly (readonly number[])[]): string[] {
  const index = pools.findIndex((pool) => idle.every((free) => free.length % pool.gpusPerReplica === 0));
  const pool = pools[index];
  if (pool === undefined) return [];
  const more = idle.reduce((sum, free) => sum + free.length / pool.gpusPerReplica, 0);
  const key = pool.maxReplicas === undefined ? "replicas" : "maxReplicas";
  return [`set pools[${index}].${key} to ${pool.replicas + more}`];
}

/** Fewer or smaller nodes that leave nothing idle. */
function fewerGpus(pools: readonly PackingPool[], nodes: number, gpusPerNode: number): string[] {
  const needed = nodesNeeded(pools, gpusPerNode);
  if (needed < nodes) return [`set cluster.nodes to ${needed}`];
  const used = pools.reduce((sum, pool) => sum + pool.replicas * pool.gpusPerReplica, 0);
  return nodes === 1 ? [`set cluster.gpusPerNode to ${used}`] : [];
}
