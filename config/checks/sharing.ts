/**
 * Several workers per GPU (`cluster.workersPerGpu`): requirements for the pools. Whether they fit is checked
 * by packing.
 */
import { isSimulated } from "../../engines";
import { PARALLEL_KEYS } from "../pools";
import type { Problem } from "../problems";
import { show } from "../values";
import type { Known } from ".";

export function sharingChecks({ cluster, pools, placement, engine }: Known): Problem[] {
  const workersPerGpu = cluster?.workersPerGpu ?? 1;
  if (workersPerGpu === 1) return [];
  const path = ["cluster", "workersPerGpu"];
  if (placement === "dedicated") {
    const message = `${workersPerGpu} has no effect with placement dedicated, where each replica has a cluster of its own. Remove it, or set placement to "shared".`;
    return [{ path, message }];
  }
  return (pools ?? []).flatMap((pool, index) => [
    ...PARALLEL_KEYS.filter((key) => pool[key] > 1).map((key) => ({
      path: ["pools", index, key],
      message: `${show(pool[key])} does not go together with cluster.workersPerGpu ${workersPerGpu}: a replica has a share of one GPU. Set it to 1, or that to 1.`,
    })),
    ...(pool.gpuMemoryFraction === undefined && engine !== undefined && !isSimulated(engine)
      ? [
          {
            path: ["pools", index, "gpuMemoryFraction"],
            message: `is required with cluster.workersPerGpu ${workersPerGpu}: left to itself an engine takes nearly all of the GPU's memory. Set it, such as to ${show(Math.floor(80 / workersPerGpu) / 100)}.`,
          },
        ]
      : []),
  ]);
}
