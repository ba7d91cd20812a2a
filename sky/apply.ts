/** `sky apply`: brings the programs of one unit to the planned state, and waits until they are healthy. */
import { defineVerb } from "../lib/verb";
import { onNode, shells } from "./nodes";
import { skyUnitSchema } from "./spec";

/** Time to reach the nodes and to stop the old programs, besides the wait for health. */
const OVERHEAD_SECONDS = 300;

export const verb = defineVerb({
  input: skyUnitSchema,
  timeoutSeconds: ({ timeoutSeconds, nodes, weights }) => {
    const stops = nodes.flatMap(({ programs }) => programs.map(({ stopSeconds }) => stopSeconds));
    return timeoutSeconds + (weights?.seconds ?? 0) + Math.max(0, ...stops) + OVERHEAD_SECONDS;
  },
  run: async ({ cluster, infra, nodes, ...shared }, context) => {
    const shellOf = await shells(cluster, infra, context);
    await Promise.all(
      nodes.map(({ rank, programs }) =>
        onNode(cluster, rank, shellOf(rank), { apply: { ...shared, programs } }, context),
      ),
    );
  },
});
