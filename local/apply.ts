/** `local apply`: brings the programs of one unit to the planned state, and waits until they are healthy. */
import { join } from "node:path";
import { copyBrought } from "../lib/broughtFiles";
import { CausedFailure, UserError } from "../lib/errors";
import { withLock } from "../lib/lock";
import { causeIn, tail } from "../lib/logs";
import { NODE_FILES } from "../lib/placeholders";
import { poll } from "../lib/poll";
import { ask, describeProbe } from "../lib/probe";
import { defineVerb, type VerbContext } from "../lib/verb";
import { counted } from "../lib/words";
import { programLog } from "../plan/node/paths";
import type { ProgramPlan } from "../plan/types";
import { nodeDirectory } from "./directories";
import { ensureSupervisor } from "./node";
import { beginUnit, finishUnit } from "./pendingChanges";
import { type NodeRecord, readNodeRecord } from "./record";
import { type LocalPrograms, localProgramsSchema } from "./spec";
import { programState, readHistory } from "./state";
import type { SupervisorClient } from "./supervisor";
import { replaceUnitFiles, type UnitChange } from "./unit";

const WAITING: Readonly<Record<string, string>> = {
  STARTING: "it waits for what it needs",
  BACKOFF: "it ended right after its start, and is held back",
};
/** Of a program that does not say why. */
const LOG_LINES = 20;
/** Before and after the line that says why. */
const LINES_AROUND_CAUSE = 3;
/** States that supervisor does not leave by itself: http://supervisord.org/subprocess.html#process-states */
const STOPPED = new Set(["STOPPED", "EXITED", "FATAL"]);
/** Time to stop the old programs and start a supervisor, besides the wait for health. */
const OVERHEAD_SECONDS = 120;

export const verb = defineVerb({
  input: localProgramsSchema,
  timeoutSeconds: ({ timeoutSeconds, nodes }) => {
    const stops = nodes.flatMap(({ programs }) => programs.map(({ stopSeconds }) => stopSeconds));
    return timeoutSeconds + Math.max(0, ...stops) + OVERHEAD_SECONDS;
  },
  run: async (input, context) => {
    await Promise.all(input.nodes.map((node) => applyNode(input, node, context)));
  },
});

async function applyNode(
  input: LocalPrograms,
  node: LocalPrograms["nodes"][number],
  context: VerbContext,
): Promise<void> {
  const { cluster, unit, timeoutSeconds } = input;
  const { rank, programs } = node;
  const record = readNodeRecord(cluster, rank);
  const directory = nodeDirectory(cluster, rank);
  const { client, change } = await withLock(join(directory, "lock"), context, async () => {
    const client = await ensureSupervisor(cluster, rank, record, context);
    beginUnit(cluster, rank, unit);
    copyBrought(input.files, join(directory, NODE_FILES));
    return { client, change: await replaceUnitFiles(client, directory, unit, programs) };
  });
  await carryOut(client, change, programs, context);
  await Promise.all(
    programs.map((program) => untilHealthy({ program, record, directory, timeoutSeconds, client }, context)),
  );
  finishUnit(cluster, rank, unit);
}

async function carryOut(
  client: SupervisorClient,
  change: UnitChange,
  programs: readonly ProgramPlan[],
  context: VerbContext,
): Promise<void> {
  const { progress } = context;
  const stopSeconds = Math.max(0, ...programs.map((program) => program.stopSeconds));
  const restarted = change.stopped.filter((name) => change.started.includes(name));
  for (const name of change.stopped)
    progress.line(`${restarted.includes(name) ? "restarting" : "stopping"} ${name}`);
  await Promise.all(change.stopped.map((name) => client.remove(name, stopSeconds)));
  await Promise.all(change.started.map((name) => client.add(name)));
  await startStopped(client, programs, context);
}

/** A program that was stopped by hand is not restarted automatically. */
async function startStopped(
  client: SupervisorClient,
  programs: readonly ProgramPlan[],
  { progress }: VerbContext,
): Promise<void> {
  const names = new Set(programs.map(({ name }) => name));
  const stopped = (await client.programs()).filter(
    ({ name, state }) => names.has(name) && STOPPED.has(state),
  );
  for (const { name, state } of stopped) progress.line(`starting ${name}, which was ${state}`);
  await Promise.all(stopped.map(({ name }) => client.start(name)));
}

interface Started {
  readonly program: ProgramPlan;
  readonly record: NodeRecord;
  readonly directory: string;
  readonly timeoutSeconds: number;
  readonly client: SupervisorClient;
}

async function untilHealthy(started: Started, context: VerbContext): Promise<void> {
  const { program, record, directory, timeoutSeconds, client } = started;
  const values = placeholders(record, directory);
  const begun = performance.now();
  const missing = await poll({
    timeoutSeconds,
    progress: context.progress,
    signal: context.signal,
    check: async () => {
      // The probe alone is not enough: another process may answer on the port that the program could not
      // bind.
      const state = programState(directory, program.name, await client.programs());
      if (state !== "RUNNING") return `${program.name} to run: ${WAITING[state] ?? state}`;
      const error = await ask(program.health, values, context.signal);
      const crashes = readHistory(directory, program.name)?.crashes ?? 0;
      const again = crashes > 0 ? ` (it ended right after its start ${counted(crashes, "time")})` : "";
      return error && `${program.name} at ${describeProbe(program.health, values)}: ${error}${again}`;
    },
  });
  if (missing === undefined) {
    context.progress.line(
      `${program.name} is healthy after ${((performance.now() - begun) / 1000).toFixed(1)} s`,
    );
    return;
  }
  throw failure(program.name, join(directory, programLog(program.name)), timeoutSeconds, missing);
}

/** The cause first, then what was waited for, then what the program has said around it. */
function failure(name: string, log: string, seconds: number, missing: string): UserError {
  const said = tail(log).slice(-LOG_LINES);
  const cause = causeIn(said);
  const waited = `${name} did not become healthy within ${seconds} s: waited for ${missing}.`;
  const where = `Its log: ${log}`;
  const at = cause === undefined ? undefined : said.findLastIndex((line) => line.trim() === cause);
  const shown =
    at === undefined ? said : said.slice(Math.max(0, at - LINES_AROUND_CAUSE), at + LINES_AROUND_CAUSE + 1);
  const rest = [waited, ...(said.length === 0 ? [] : [where, ...shown.map((line) => `    ${line}`)])];
  if (cause === undefined) return new UserError(rest.join("\n"));
  return new CausedFailure(name, cause, [`${name} failed: ${cause}`, ...rest].join("\n"), where);
}

function placeholders(record: NodeRecord, directory: string): Record<string, string> {
  return {
    NODE_IP: record.address,
    HEAD_IP: record.rankAddresses[0] ?? record.address,
    CONTROL_IP: record.controlAddress,
    NODE_DIR: directory,
    ...Object.fromEntries(record.rankAddresses.map((address, rank) => [`RANK_IP_${rank}`, address])),
  };
}
