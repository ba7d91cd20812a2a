/** The units of a node, changed by its agent: `runtime/units.py` has the requests and answers. */
import { z } from "zod";
import { askNode } from "./agent";
import { CausedFailure, UserError } from "./errors";
import { causeIn } from "./logs";
import type { NodeShell } from "./nodes";
import { lineSchedule } from "./poll";
import type { ProcessId } from "./processes";
import { repeatedError } from "./repeated";
import type { VerbContext } from "./verb";

/** A program that is not healthy, and its last lines. */
const failed = z.object({ program: z.string(), missing: z.string(), lines: z.array(z.string()) });
const answerSchema = z.union([
  z.strictObject({ line: z.string() }),
  z.strictObject({ waiting: z.string(), again: failed.extend({ since: z.number() }).optional() }),
  z.strictObject({ failed }),
  z.strictObject({ done: z.literal(true) }),
  z.strictObject({ silent: z.literal(true) }),
]);

/** Before and after the line that says why. */
const LINES_AROUND_CAUSE = 3;

/** What a node keeps; all else is removed. */
interface Kept {
  readonly units: readonly string[];
  /** Names of the deployment's files. Default: nothing is removed. */
  readonly files?: readonly string[];
  /** How units are changed; null if each is at once. Default: as before. */
  readonly rollout?: object | null;
}

/** A change of a node's units. */
export type UnitChange =
  | { readonly apply: UnitPrograms }
  | { readonly remove: { readonly unit: string } }
  | { readonly keep: Kept }
  /** Writes all secrets of the node; programs that have a changed one and do not reread it are restarted. */
  | {
      readonly secrets: {
        readonly values: Readonly<Record<string, string>>;
        readonly reread: readonly string[];
      };
    };

/** The programs of a unit on one node. */
export interface UnitPrograms {
  readonly unit: string;
  /** Specifications, as the plan has them. */
  readonly programs: readonly object[];
  /** Time limit for all of them to become healthy. */
  readonly timeoutSeconds: number;
  /** Models on the hub that they load, and the time limit to download them. Default: none. */
  readonly weights?: { readonly models: readonly string[]; readonly seconds: number };
  /**
   * Who has begun the change with {@link beginUnit}, and finishes it. Default: the change ends when they are
   * healthy.
   */
  readonly owner?: ProcessId | undefined;
  /** Kept with the unit for {@link pendingChange}. Default: none. */
  readonly generation?: string | undefined;
}

/** The longest time that a program of a unit may take to stop. Unit: seconds. */
export function longestStop(
  nodes: readonly { readonly programs: readonly { readonly stopSeconds: number }[] }[],
): number {
  return Math.max(0, ...nodes.flatMap(({ programs }) => programs.map(({ stopSeconds }) => stopSeconds)));
}

/**
 * Carries out a change on a node.
 *
 * @param logOf Where a program's log is, for the message.
 * @returns False if no supervisor answers there: nothing was changed.
 * @throws UserError with the cause and the log of a program that did not become healthy in time, or that ends
 * with the same error again and again.
 */
export async function changeUnits(
  shell: NodeShell,
  request: UnitChange,
  logOf: (program: string) => string,
  { progress, signal }: VerbContext,
): Promise<boolean> {
  const seconds = "apply" in request ? request.apply.timeoutSeconds : 0;
  const started = performance.now();
  const noUse = new AbortController();
  const isDue = lineSchedule();
  let isSilent = false;
  let failure: z.output<typeof failed> | undefined;
  const onAnswer = (said: unknown): void => {
    const answer = answerSchema.parse(said);
    const elapsed = performance.now() - started;
    if ("line" in answer) progress.line(answer.line);
    else if ("failed" in answer) failure = answer.failed;
    else if ("silent" in answer) isSilent = true;
    else if ("waiting" in answer) {
      if (isDue(answer.waiting, elapsed))
        progress.line(
          `waiting for ${answer.waiting} (${Math.round(elapsed / 1000)} of at most ${seconds} s)`,
        );
      const { again } = answer;
      if (again === undefined || repeatedError(again.lines, again.since * 1000) === undefined) return;
      failure = again;
      noUse.abort();
    }
  };
  await askNode(shell, request, onAnswer, AbortSignal.any([signal, noUse.signal])).catch((error: unknown) => {
    if (signal.aborted || !noUse.signal.aborted) throw error;
  });
  if (failure !== undefined) {
    const within = noUse.signal.aborted ? ", and waiting longer would not help" : ` within ${seconds} s`;
    throw notHealthy(failure, logOf(failure.program), within);
  }
  return !isSilent;
}

/** The cause first, then what was waited for, then what the program has said around it. */
function notHealthy(
  { program, missing, lines }: z.output<typeof failed>,
  log: string,
  within: string,
): UserError {
  const cause = causeIn(lines);
  const waited = `${program} did not become healthy${within}: waited for ${missing}.`;
  const where = `Its log: ${log}`;
  const at = cause === undefined ? undefined : lines.findLastIndex((line) => line.trim() === cause);
  const shown =
    at === undefined ? lines : lines.slice(Math.max(0, at - LINES_AROUND_CAUSE), at + LINES_AROUND_CAUSE + 1);
  const rest = [waited, ...(lines.length === 0 ? [] : [where, ...shown.map((line) => `    ${line}`)])];
  if (cause === undefined) return new UserError(rest.join("\n"));
  return new CausedFailure(program, cause, [`${program} failed: ${cause}`, ...rest].join("\n"), where);
}

const stateSchema = z.object({
  /** Whether the node's supervisor answers. */
  supervisor: z.boolean(),
  programs: z.array(
    z.object({
      name: z.string(),
      unit: z.string(),
      /**
       * In supervisor's terms: `RUNNING`; `STARTING` while its launcher waits for what it needs; `BACKOFF`
       * while that holds a crashing program back; `MISSING` if supervisor does not know it.
       */
      state: z.string(),
      pid: z.number(),
      /** Whether the last change of its unit has not ended. */
      unfinished: z.boolean(),
      /** The process on this machine that has begun that change with {@link beginUnit}, else null. */
      owner: z.object({ pid: z.number(), startTime: z.string() }).nullable(),
    }),
  ),
});
export type UnitsState = z.output<typeof stateSchema>;

/**
 * What a node has, and what of it runs.
 *
 * @param seconds How long to wait for a supervisor that does not answer.
 */
export async function unitsState(
  shell: NodeShell,
  seconds: number,
  signal: AbortSignal,
): Promise<UnitsState> {
  let state: UnitsState | undefined;
  await askNode(shell, { state: { seconds } }, (said) => (state = stateSchema.parse(said)), signal);
  if (state === undefined) throw new Error("the node told nothing");
  return state;
}

/** Marks a unit of a node as being changed by this process, until {@link finishUnit}. */
export async function beginUnit(
  shell: NodeShell,
  unit: string,
  owner: ProcessId,
  signal: AbortSignal,
): Promise<void> {
  await askNode(shell, { begin: { unit, owner } }, () => undefined, signal);
}

/** Marks a unit of a node as running as planned. */
export async function finishUnit(shell: NodeShell, unit: string, signal: AbortSignal): Promise<void> {
  await askNode(shell, { finish: { unit } }, () => undefined, signal);
}

const pendingSchema = z.strictObject({ changed: z.array(z.string()), generation: z.string().nullable() });

/** What an `apply` of these programs would do to a unit on a node; nothing is changed. */
export async function pendingChange(
  shell: NodeShell,
  unit: string,
  programs: readonly object[],
  signal: AbortSignal,
): Promise<{
  /** The unit's programs that it would restart or end. */
  readonly changed: readonly string[];
  /** Generation with which the unit was applied last; null if with none. */
  readonly generation: string | null;
}> {
  let pending: z.output<typeof pendingSchema> = { changed: [], generation: null };
  const onAnswer = (said: unknown) => (pending = pendingSchema.parse(said));
  await askNode(shell, { changes: { unit, programs } }, onAnswer, signal);
  return pending;
}

const rolloutSchema = z.strictObject({ rollout: z.unknown() });

/** How the deployment's units are changed, as a node was given it; null if it was not. */
export async function keptRollout(shell: NodeShell, signal: AbortSignal): Promise<unknown> {
  let kept: unknown = null;
  await askNode(shell, { rollout: {} }, (said) => (kept = rolloutSchema.parse(said).rollout), signal);
  return kept;
}

const calledSchema = z.union([
  z.strictObject({ status: z.number(), text: z.string() }),
  z.strictObject({ error: z.string() }),
]);

/**
 * One HTTP request from a node, placeholders of the URL filled in there.
 *
 * @param body JSON, for a POST. Undefined for a GET.
 */
export async function callFromNode(
  shell: NodeShell,
  url: string,
  body: string | undefined,
  seconds: number,
  signal: AbortSignal,
): Promise<z.output<typeof calledSchema>> {
  let called: z.output<typeof calledSchema> = { error: "the node told nothing" };
  const request = { call: { url, body: body ?? null, seconds } };
  await askNode(shell, request, (said) => (called = calledSchema.parse(said)), signal);
  return called;
}

const stoppedSchema = z.union([
  z.strictObject({ graceSeconds: z.number() }).transform(({ graceSeconds }) => graceSeconds),
  z.strictObject({ silent: z.literal(true) }).transform(() => 0),
]);

/**
 * Stops the programs of all roles but these.
 *
 * @returns How long the others may take to stop, seconds; 0 if no supervisor answers.
 */
export async function stopUnits(
  shell: NodeShell,
  except: readonly string[],
  signal: AbortSignal,
): Promise<number> {
  let grace = 0;
  await askNode(shell, { stop: { except } }, (said) => (grace = stoppedSchema.parse(said)), signal);
  return grace;
}

/** Removes what a node has outside of its directory: temporary files, and a killed supervisor's socket. */
export async function clean(shell: NodeShell, signal: AbortSignal): Promise<void> {
  await askNode(shell, { clean: {} }, () => undefined, signal);
}
