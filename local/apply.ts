/** `local apply`: brings the programs of one unit to the planned state, and waits until they are healthy. */
import { join } from "node:path";
import { copyBrought } from "../lib/broughtFiles";
import { withLock } from "../lib/lock";
import { changeUnits, longestStop } from "../lib/nodeUnits";
import { NODE_FILES } from "../lib/placeholders";
import type { UnitRollout } from "../lib/unitRollout";
import { defineVerb, type VerbContext } from "../lib/verb";
import { programLog } from "../plan/node/paths";
import { nodeDirectory } from "./directories";
import { ensureSupervisor } from "./node";
import { beginChange } from "./proven";
import { nodeShell, readNodeRecord } from "./record";
import { rolloutOfUnit } from "./rollout";
import { type LocalPrograms, localProgramsSchema } from "./spec";

/** Time to stop the old programs and start a supervisor, besides the wait for health. */
const OVERHEAD_SECONDS = 120;

export const verb = defineVerb({
  input: localProgramsSchema,
  timeoutSeconds: (input) => {
    const own = changeSeconds(input);
    return rolloutOfUnit(input)?.limitSeconds(own) ?? own;
  },
  run: async (input, context) => {
    const rollout = rolloutOfUnit(input);
    const change = async () => {
      await Promise.all(input.nodes.map((node) => applyNode(input, node, rollout, context)));
    };
    await (rollout === undefined ? change() : rollout.change(change, changeSeconds(input), context));
  },
});

function changeSeconds({ timeoutSeconds, nodes }: LocalPrograms): number {
  return timeoutSeconds + longestStop(nodes) + OVERHEAD_SECONDS;
}

async function applyNode(
  { cluster, unit, files, timeoutSeconds }: LocalPrograms,
  { rank, programs }: LocalPrograms["nodes"][number],
  rollout: UnitRollout | undefined,
  context: VerbContext,
): Promise<void> {
  const record = readNodeRecord(cluster, rank);
  const directory = nodeDirectory(cluster, rank);
  const shell = nodeShell(directory, record);
  beginChange(cluster);
  if (Object.keys(files).length > 0)
    await withLock(join(directory, "lock"), context, async () =>
      copyBrought(files, join(directory, NODE_FILES)),
    );
  const logOf = (program: string) => join(directory, programLog(program));
  const { owner, generation } = rollout ?? {};
  const apply = () =>
    changeUnits(shell, { apply: { unit, programs, timeoutSeconds, owner, generation } }, logOf, context);
  await withSupervisor(cluster, rank, context, apply);
}

/**
 * Starts the node's supervisor if none answers, and asks again.
 *
 * @param change Tells whether one answered.
 */
export async function withSupervisor(
  cluster: string,
  rank: number,
  context: VerbContext,
  change: () => Promise<boolean>,
): Promise<void> {
  if (await change()) return;
  const directory = nodeDirectory(cluster, rank);
  const record = readNodeRecord(cluster, rank);
  await withLock(join(directory, "lock"), context, () => ensureSupervisor(cluster, rank, record, context));
  if (!(await change())) throw new Error(`the supervisor of node ${rank} has ended again`);
}
