/** `sky remove`: stops the programs of one unit and forgets it; fine if the cluster is gone. */
import { defineVerb } from "../lib/verb";
import { Sky } from "./cli";
import { onNode, shells } from "./nodes";
import { isUnderWay } from "./records";
import { skyUnitSchema } from "./spec";

const OVERHEAD_SECONDS = 300;

export const verb = defineVerb({
  input: skyUnitSchema,
  timeoutSeconds: ({ nodes }) => {
    const stops = nodes.flatMap(({ programs }) => programs.map(({ stopSeconds }) => stopSeconds));
    return Math.max(0, ...stops) + OVERHEAD_SECONDS;
  },
  run: async ({ cluster, infra, unit, nodes }, context) => {
    const shellOf = await shells(cluster, infra, context);
    try {
      await Promise.all(
        nodes.map(({ rank }) => onNode(cluster, rank, shellOf(rank), { remove: { unit } }, context)),
      );
    } catch (error) {
      if (await isRunning(cluster, infra, context)) throw error;
    }
    context.progress.line(`${unit} is stopped and removed`);
  },
});

/** Whether anything can run on the cluster: a task that has ended has no programs. */
async function isRunning(
  cluster: string,
  infra: readonly string[],
  context: Parameters<typeof shells>[2],
): Promise<boolean> {
  const sky = await Sky.find(infra, context);
  try {
    const jobs = (await sky.jobs([cluster]))[cluster] ?? [];
    return jobs.some(isUnderWay);
  } finally {
    sky.close();
  }
}
