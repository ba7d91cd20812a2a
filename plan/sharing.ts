/**
 * Several workers per GPU, to try out a topology on few GPUs (`cluster.workersPerGpu`). Every worker gets one
 * share of one GPU; the workers of a pool are spread over the nodes and their GPUs, so that each GPU gets
 * some of every role.
 */

import type { DeploymentConfig } from "../config/deployment";
import type { Problem } from "../config/problems";
import { type Packing, type PackingResult, pack, range } from "./packing";
import type { ProgramPlan } from "./types";

/** Like {@link pack}, with shared GPUs. Reports workers without a share, and GPUs with too little memory. */
export function packShared(config: DeploymentConfig): PackingResult {
  const { nodes, gpusPerNode, workersPerGpu } = config.cluster;
  const workers = config.pools.reduce((sum, pool) => sum + pool.replicas, 0);
  const room = nodes * gpusPerNode * workersPerGpu;
  if (workers > room) {
    const message =
      `The pools have ${workers} workers, and ${nodes} × ${gpusPerNode} GPUs with ${workersPerGpu} workers each have room for ` +
      `${room}. Set it to ${Math.ceil(workers / (nodes * gpusPerNode))}, or lower replicas.`;
    return { problems: [{ path: ["cluster", "workersPerGpu"], message }] };
  }
  const sizes = config.pools.map((pool) => ({ ...pool, gpusPerReplica: 1 }));
  const { packing, problems } = pack(sizes, nodes, gpusPerNode * workersPerGpu);
  if (packing === undefined) return { problems };
  const shared = onGpus(packing, config);
  const overfull = memoryProblems(shared, config);
  return overfull.length > 0 ? { problems: overfull } : { packing: shared, problems: [] };
}

/** Converts shares to GPUs: all GPUs of a node get one worker before any gets a second. */
function onGpus({ placements }: Packing, { cluster: { nodes, gpusPerNode } }: DeploymentConfig): Packing {
  const placed = placements.map((placement) => ({
    ...placement,
    shares: placement.shares.map(({ node, gpus }) => ({
      node,
      gpus: gpus.map((slot) => slot % gpusPerNode),
    })),
  }));
  const used = new Set(placed.flatMap(({ shares }) => shares.map(({ node, gpus }) => `${node}:${gpus[0]}`)));
  const idle = range(0, nodes).map((node) =>
    range(0, gpusPerNode).filter((gpu) => !used.has(`${node}:${gpu}`)),
  );
  return { placements: placed, idle };
}

/** GPUs whose workers' memory fractions add up to more than one. */
function memoryProblems({ placements }: Packing, { pools }: DeploymentConfig): Problem[] {
  const byGpu = new Map<string, number[]>();
  for (const { pool, shares } of placements) {
    for (const { node, gpus } of shares) {
      const gpu = `${gpus[0]} of node ${node}`;
      byGpu.set(gpu, [...(byGpu.get(gpu) ?? []), pool]);
    }
  }
  for (const [gpu, on] of byGpu) {
    const fractions = on.map((pool) => pools[pool]?.gpuMemoryFraction ?? 0);
    const sum = fractions.reduce((total, fraction) => total + fraction, 0);
    if (sum <= 1) continue;
    const message =
      `${fractions.join(" + ")} = ${Number(sum.toFixed(4))} is more than the memory of GPU ${gpu}, which these workers share ` +
      "(cluster.workersPerGpu). Lower them to 1 together.";
    return [{ path: ["pools", on[0] ?? 0, "gpuMemoryFraction"], message }];
  }
  return [];
}

/**
 * Makes workers that share a GPU start one after the other: an engine measures the free memory, and two that
 * load at the same time would count each other's.
 */
export function inTurn(programs: readonly ProgramPlan[], timeoutSeconds: number): ProgramPlan[] {
  const last = new Map<number, ProgramPlan>();
  return programs.map((program) => {
    const [gpu] = program.gpus;
    const former = gpu === undefined ? undefined : last.get(gpu);
    if (gpu !== undefined) last.set(gpu, program);
    if (former === undefined) return program;
    const wait = { name: `${former.name}, which shares its GPU`, probe: former.health, timeoutSeconds };
    return { ...program, waitsFor: [...program.waitsFor, wait] };
  });
}
