/** `sky remove`: stops the programs of one unit and forgets it; fine if the cluster or a node is gone. */
import { longestStop } from "../lib/nodeUnits";
import { defineVerb, type VerbContext } from "../lib/verb";
import { Sky } from "./cli";
import { findShells, onNode } from "./nodes";
import { isUnderWay } from "./records";
import { skyUnitSchema } from "./spec";

const OVERHEAD_SECONDS = 300;

export const verb = defineVerb({
  input: skyUnitSchema,
  timeoutSeconds: ({ nodes }) => longestStop(nodes) + OVERHEAD_SECONDS,
  run: async ({ cluster, infra, unit, nodes }, context) => {
    const shellOf = await findShells(cluster, infra, context);
    if (shellOf === undefined) return;
    const removals = await Promise.all(
      nodes.map(({ rank }) =>
        onNode(cluster, rank, shellOf(rank), { remove: { unit } }, context).then(
          () => undefined,
          (error: unknown) => ({ rank, error }),
        ),
      ),
    );
    const failed = removals.flatMap((one) => one ?? []);
    const there = failed.length === 0 ? 0 : await nodesOf(cluster, infra, context);
    for (const { rank, error } of failed) if (rank < there) throw error;
    context.progress.line(`${unit} is stopped and removed`);
  },
});

/**
 * How many nodes can run anything: a cluster may have been made anew with fewer, and a task that has ended
 * has no programs.
 */
async function nodesOf(cluster: string, infra: readonly string[], context: VerbContext): Promise<number> {
  const sky = await Sky.find(infra, context);
  try {
    const [record, jobs] = await Promise.all([sky.cluster(cluster), sky.jobs([cluster])]);
    const runs = (jobs[cluster] ?? []).some(isUnderWay);
    return record !== undefined && runs ? (record.nodes ?? Number.POSITIVE_INFINITY) : 0;
  } finally {
    sky.close();
  }
}
