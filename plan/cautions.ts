/** Warnings about a valid deployment, printed by every preview. Pure. */
import type { DeploymentConfig } from "./config";
import type { DeploymentPlan } from "./types";

const OPEN_INSIDE =
  "The endpoint asks nobody in the cluster's network for a key, and speaks plain HTTP (dynamo-sky:access.gateway: false).";

const MPI_IS_EXPERIMENTAL =
  "TensorRT-LLM over several nodes is experimental: it has not run on real nodes yet. Rehearse it with a small model first " +
  "(docs/decisions/0007-tensorrt-llm-over-several-nodes-by-mpi.md).";

/** In the order of output. */
export function cautionsOf(
  config: DeploymentConfig,
  { clusters }: Pick<DeploymentPlan, "clusters">,
): string[] {
  const programs = clusters.flatMap(({ nodes }) => nodes.flatMap((node) => node.programs));
  return [
    ...(config.target === "sky" && !config.access.gateway ? [OPEN_INSIDE] : []),
    ...(config.engine === "trtllm" && programs.some(({ mpi }) => mpi !== undefined)
      ? [MPI_IS_EXPERIMENTAL]
      : []),
  ];
}
