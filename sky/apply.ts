/** `sky apply`: brings the programs of one unit to the planned state, and waits until they are healthy. */
import { bringFiles } from "../lib/nodeFiles";
import { longestStop } from "../lib/nodeUnits";
import type { UnitRollout } from "../lib/unitRollout";
import { defineVerb, type VerbContext } from "../lib/verb";
import { onNode, shells } from "./nodes";
import { rolloutOfUnit } from "./rollout";
import { type SkyUnit, skyUnitSchema } from "./spec";

/** Time to reach the nodes and to stop the old programs, besides the wait for health. */
const OVERHEAD_SECONDS = 300;
/** How many changes before it a unit may have to wait for is known to a node alone. */
const LONGEST_ROLLOUT_SECONDS = 7 * 86_400;

export const verb = defineVerb({
  input: skyUnitSchema,
  timeoutSeconds: (input) => (input.home === undefined ? changeSeconds(input) : LONGEST_ROLLOUT_SECONDS),
  run: async (input, context) => {
    const rollout = await rolloutOfUnit(input, context);
    const own = changeSeconds(input);
    const within = limited(context, rollout?.limitSeconds(own) ?? own);
    const change = () => applyUnit(input, rollout, within);
    await (rollout === undefined ? change() : rollout.change(change, own, within));
  },
});

function changeSeconds({ timeoutSeconds, nodes, weights }: SkyUnit): number {
  return timeoutSeconds + (weights?.seconds ?? 0) + longestStop(nodes) + OVERHEAD_SECONDS;
}

function limited(context: VerbContext, seconds: number): VerbContext {
  return { ...context, signal: AbortSignal.any([context.signal, AbortSignal.timeout(seconds * 1000)]) };
}

async function applyUnit(
  { cluster, infra, unit, nodes, files, timeoutSeconds, weights }: SkyUnit,
  rollout: UnitRollout | undefined,
  context: VerbContext,
): Promise<void> {
  const shellOf = await shells(cluster, infra, context);
  const shared = {
    ...{ unit, timeoutSeconds, owner: rollout?.owner, generation: rollout?.generation },
    ...(weights === undefined ? {} : { weights }),
  };
  await Promise.all(
    nodes.map(async ({ rank, programs }) => {
      const brought = await bringFiles(shellOf(rank), files, context.signal);
      if (brought.length > 0) context.progress.line(`${brought.join(", ")} brought to node ${rank}`);
      await onNode(cluster, rank, shellOf(rank), { apply: { ...shared, programs } }, context);
    }),
  );
}
