/** The pools of a stack that says none: those that `size` has chosen for its model and GPUs. */

import type { ParsedConfig } from "../config/schema";
import { USUAL_GPUS_OF_A_NODE } from "../config/services";
import { tasks } from "../config/task";
import { isSimulated } from "../engines";
import table from "./bestLayouts.json";

/** The layout that `size` puts first for a model on some GPUs, under a load. */
export interface BestLayout {
  readonly model: string;
  readonly engine: string;
  readonly accelerator: string;
  readonly nodes: number;
  readonly gpusPerNode: number;
  /** Tokens of a prompt and of an answer. */
  readonly isl: number;
  readonly osl: number;
  /** The promise: milliseconds to the first token, and for each other. */
  readonly ttft: number;
  readonly tpot: number;
  /** For users: `8 × TP2`. */
  readonly layout: string;
  /** As a stack would say them. */
  readonly pools: readonly object[];
}

/** Written by `npx tsx dev/bestLayouts.ts`. */
export const BEST_LAYOUTS: readonly BestLayout[] = table;

type Asked = Pick<ParsedConfig, "model" | "target" | "task" | "placement"> & {
  readonly engine: string;
  readonly cluster: Pick<ParsedConfig["cluster"], "nodes" | "gpusPerNode" | "accelerator" | "workersPerGpu">;
};

/** Undefined if it is not known. Clusters of their own have no number of GPUs that has to be filled. */
export function bestLayout({
  model,
  engine,
  target,
  task,
  placement,
  cluster,
}: Asked): BestLayout | undefined {
  if (target === "local" || placement !== "shared" || cluster.workersPerGpu > 1 || !tasks[task].generates)
    return undefined;
  const { nodes, accelerator, gpusPerNode = USUAL_GPUS_OF_A_NODE } = cluster;
  return BEST_LAYOUTS.find(
    (one) =>
      one.model === model &&
      one.engine === engine &&
      one.accelerator === accelerator &&
      one.nodes === nodes &&
      one.gpusPerNode === gpusPerNode,
  );
}

/**
 * Which pools a stack has that says none, and why: for `plan` and `preview`.
 * @param written The configuration as written.
 * @returns Undefined if it says its pools, or if nothing is computed.
 */
export function poolsNote(written: object, config: Asked): string | undefined {
  const { engine, model, cluster } = config;
  if ("pools" in written && written.pools !== undefined) return undefined;
  if (config.target === "local" || isSimulated(engine)) return undefined;
  const best = bestLayout(config);
  const count = cluster.nodes * (cluster.gpusPerNode ?? USUAL_GPUS_OF_A_NODE);
  const where = `${model} with ${engine} on ${count} ${cluster.accelerator}`;
  if (best === undefined)
    return `pools: not said, so one worker on one GPU: the best layout of ${where} is not known here. \`dynamo-sky size\` finds one.`;
  const { layout, isl, osl, ttft, tpot } = best;
  return `pools: not said, so ${layout}: what \`dynamo-sky size\` chooses for ${where}, for prompts of ${isl} tokens and answers of ${osl}, within ${ttft} ms to the first token and ${tpot} ms for each other.`;
}
