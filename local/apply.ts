/** `local apply`: brings the programs of one unit to the planned state, and waits until they are healthy. */
import { join } from "node:path";
import { copyBrought } from "../lib/broughtFiles";
import { CausedFailure, UserError } from "../lib/errors";
import { withLock } from "../lib/lock";
import { changeUnits } from "../lib/nodeUnits";
import { NODE_FILES } from "../lib/placeholders";
import type { ProcessId } from "../lib/processes";
import { goOn } from "../lib/rollout";
import { defineVerb, type VerbContext } from "../lib/verb";
import { programLog } from "../plan/node/paths";
import { nodeDirectory } from "./directories";
import { ensureSupervisor } from "./node";
import { beginChange } from "./proven";
import { nodeShell, readNodeRecord } from "./record";
import { UnitRollout } from "./rollout";
import { type LocalPrograms, localProgramsSchema } from "./spec";

/** Time to stop the old programs and start a supervisor, besides the wait for health. */
const OVERHEAD_SECONDS = 120;

export const verb = defineVerb({
  input: localProgramsSchema,
  timeoutSeconds: (input) => {
    const rollout = UnitRollout.of(input);
    const own = changeSeconds(input);
    return rollout === undefined ? own : rollout.waitSeconds(own) + rollout.turnSeconds(own);
  },
  run: async (input, context) => {
    const rollout = UnitRollout.of(input);
    if (rollout === undefined) await change(input, undefined, context);
    else await changeInTurn(input, rollout, context);
  },
});

function changeSeconds({ timeoutSeconds, nodes }: LocalPrograms): number {
  const stops = nodes.flatMap(({ programs }) => programs.map(({ stopSeconds }) => stopSeconds));
  return timeoutSeconds + Math.max(0, ...stops) + OVERHEAD_SECONDS;
}

async function change(
  input: LocalPrograms,
  owner: ProcessId | undefined,
  context: VerbContext,
): Promise<void> {
  await Promise.all(input.nodes.map((node) => applyNode(input, node, owner, context)));
}

async function changeInTurn(input: LocalPrograms, rollout: UnitRollout, context: VerbContext): Promise<void> {
  const isReplaced = await rollout.takeTurn(changeSeconds(input), context);
  try {
    await change(input, rollout.owner, context);
    rollout.keepGeneration();
    if (isReplaced) await rollout.prove(context);
  } catch (error) {
    rollout.stop();
    throw isReplaced ? stopped(error, rollout) : error;
  }
  await rollout.finish(context.signal);
}

/** The failure, with what it means for the others of the pool, and what to do. */
function stopped(error: unknown, { pool }: UnitRollout): unknown {
  if (!(error instanceof UserError)) return error;
  const advice = `The rollout of ${pool} stops here: the others serve as before. ${goOn({ pool })}`;
  const message = `${error.message}\n${advice}`;
  if (!(error instanceof CausedFailure)) return new UserError(message);
  return new CausedFailure(error.who, error.reason, message, [error.own ?? [], advice].flat().join("\n"));
}

async function applyNode(
  { cluster, unit, files, timeoutSeconds }: LocalPrograms,
  { rank, programs }: LocalPrograms["nodes"][number],
  owner: ProcessId | undefined,
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
  const apply = () =>
    changeUnits(shell, { apply: { unit, programs, timeoutSeconds, owner } }, logOf, context);
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
