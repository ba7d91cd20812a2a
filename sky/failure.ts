/** Classifies failures of SkyPilot by its output: cause and next step. Pure. */
import { CausedFailure } from "../lib/errors";
import { type ProgramLog, runsIn } from "../lib/logs";
import { repeatedError } from "../lib/repeated";
import { CAUSES, type Cause } from "./causes";
import { FAILURES, type FailureKind } from "./failureKinds";
import { slurmWait } from "./slurmReasons";

export interface Failure {
  readonly kind: FailureKind;
  /** SkyPilot's own message. */
  readonly cause: string;
}

/** How many lines of a log a failure shows. */
export const LAST_LINES = 15;
const LONGEST_CAUSE = 600;

/** Classifies a failure by SkyPilot's last output lines. */
export function classify(lines: readonly string[], timedOut = false): Failure {
  const found = firstCause(lines, CAUSES);
  if (found !== undefined && !(timedOut && found.kind === "capacity")) return found;
  const last = lines.at(-1);
  return {
    kind: timedOut ? "timeout" : "unknown",
    cause: last === undefined ? "it printed nothing" : tidy(last),
  };
}

/** Kinds that name the failed phase, not the cause. */
const VAGUE: ReadonlySet<FailureKind> = new Set(["setup", "run", "timeout", "unknown", "capacity"]);

/**
 * Adds the cause found in a log of the cluster or its task, if SkyPilot's output has none.
 *
 * @param log May hold output of any program, including successful ones: only unambiguous messages are taken
 * for a cause.
 */
export function explained(failure: Failure, log: readonly string[]): Failure {
  if (!VAGUE.has(failure.kind)) return failure;
  const found = causeOnNodes(log);
  return found === undefined ? failure : { ...found, cause: `${found.cause} (${failure.cause})` };
}

/** The cause that a log of a node's programs names; undefined if it names none that is known. */
export function causeOnNodes(log: readonly string[]): Failure | undefined {
  return firstCause(
    log,
    CAUSES.filter(({ onNodes }) => onNodes),
  );
}

/** All causes that a log of a node's programs names. */
function causesNamed(log: readonly string[]): readonly Cause[] {
  return CAUSES.filter(({ onNodes, pattern }) => onNodes && log.some((line) => pattern.test(line)));
}

/** A cause that a program's log names. */
export interface ProgramFailure extends Failure {
  readonly program: string;
}

/** `out of memory: decode-0 says: CUDA out of memory.` */
export function titledOf({ kind, program, cause }: ProgramFailure): string {
  return `${FAILURES[kind].title}: ${program} says: ${cause}`;
}

/** The known cause of each program whose log names one. */
export function causesOf(logs: readonly ProgramLog[]): ProgramFailure[] {
  return logs.flatMap(({ program, lines }) => {
    const found = recentCause(lines);
    return found === undefined ? [] : { ...found, program };
  });
}

/** What to do about it. */
export function nextOf({ kind }: Failure): string {
  return `Next: ${FAILURES[kind].advice}`;
}

/** The cause in the last start that ended, or in the present one; not in those before, which are over. */
export function recentCause(log: readonly string[]): Failure | undefined {
  const runs = runsIn(log);
  return causeOnNodes(runs.length < 2 ? log : runs.slice(-2).flatMap(({ lines }) => lines));
}

/** Tolerated clock difference between nodes and this machine. Unit: milliseconds. */
const SKEW_MS = 10_000;

/**
 * The cause for which a program will not become ready by waiting: as many starts in a row have ended with it
 * as its {@link Cause.finalAfter} says, and with nothing beside it that passes.
 *
 * @param since Milliseconds by this machine's clock: what was said before, or of starts that ended before, is
 * of a configuration that may have been changed.
 */
export function finalCause(log: readonly string[], since: number): Failure | undefined {
  const isRecent = (at: number) => at >= since - SKEW_MS;
  const said = log.filter((line) => isRecent(timeOf(line)));
  const now = causesNamed(said).find(({ finalAfter }) => finalAfter === 0);
  if (now !== undefined) return firstCause(said, [now]);
  const ended = runsIn(log).filter(({ nextAt }) => nextAt !== undefined && isRecent(nextAt));
  const last = finalOf(ended.at(-1)?.lines ?? []);
  if (last === undefined) return repeated(log, since);
  if (ended.length < last.after) return undefined;
  const others = ended.slice(-last.after).map(({ lines }) => finalOf(lines)?.kind);
  return others.every((kind) => kind === last.kind) ? last : undefined;
}

/** An error that no table has, but with which each start ends. */
function repeated(log: readonly string[], since: number): Failure | undefined {
  const cause = repeatedError(log, since - SKEW_MS);
  const passes = causesNamed(log).some(({ finalAfter }) => finalAfter === undefined);
  return cause === undefined || passes ? undefined : { kind: "ends", cause: tidy(cause) };
}

/** The final cause of one start; undefined if anything that it names may pass. */
function finalOf(lines: readonly string[]): (Failure & { readonly after: number }) | undefined {
  const named = causesNamed(lines);
  const found = firstCause(lines, named);
  if (found === undefined || named.some(({ finalAfter }) => finalAfter === undefined)) return undefined;
  return { ...found, after: Math.max(...named.map(({ finalAfter = 0 }) => finalAfter)) };
}

/** Dynamo's lines have their time; anything before it is SkyPilot's prefix. */
function timeOf(line: string): number {
  const [written] = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/.exec(line) ?? [];
  return written === undefined ? Number.NEGATIVE_INFINITY : Date.parse(written);
}

function firstCause(lines: readonly string[], causes: readonly Cause[]): Failure | undefined {
  for (const { kind, pattern } of causes) {
    const line = lines.findLast((candidate) => pattern.test(candidate));
    if (line !== undefined) return { kind, cause: tidy(line) };
  }
  return undefined;
}

/**
 * The failure of a cluster whose `init_status_reason` will not go away by waiting; undefined if it may.
 *
 * @param waitsForOthers Whether to keep waiting for others to end jobs or raise limits (`sky.retryUntilUp`).
 */
export function permanentFailure(reason: string, waitsForOthers: boolean): Failure | undefined {
  const wait = slurmWait(reason);
  if (wait?.meaning === undefined || (wait.ends === "others" && waitsForOthers)) return undefined;
  return {
    kind: wait.ends === "nothing" ? "slurm" : "others",
    cause: `${wait.code}: ${wait.meaning}. SkyPilot says: ${reason}`,
  };
}

/** Without the prefixes of SkyPilot's log; of an answer of Kubernetes' API its message alone. */
function tidy(line: string): string {
  const said = line.trim().replace(/^[DIWE] \d\d-\d\d \d\d:\d\d:\d\d\.\d+ PID=\d+ \S+\] /, "");
  const text = (apiMessage(said) ?? said).replace(/^Reason: /, "").replace(EXCEPTION, "");
  return text.length <= LONGEST_CAUSE ? text : `${text.slice(0, LONGEST_CAUSE)} …`;
}

const EXCEPTION = /^([\w.]+\.)?\w*(Error|Exception): /;

/** https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/ */
function apiMessage(text: string): string | undefined {
  const [, message] =
    /^HTTP response body: \{"kind":"Status",.*?"message":("(?:[^"\\]|\\.)*")/.exec(text) ?? [];
  return message === undefined ? undefined : String(JSON.parse(message));
}

/** Additional details for a failure's message. */
export interface FailureDetails {
  /** Source of the lines, such as `Last lines of rank 1`. */
  readonly source?: string;
  readonly lines?: readonly string[];
  /** What still runs, and what that costs. */
  readonly running?: string;
}

/** The full message: what failed, the cause, the last lines, what still runs, the next step. */
export function failureMessage(what: string, failure: Failure, details: FailureDetails = {}): string {
  const { title, advice } = FAILURES[failure.kind];
  const { source = "Last lines", lines = [], running } = details;
  return [
    `${what}: ${title}.`,
    `Cause: ${failure.cause}`,
    ...(lines.length === 0 ? [] : [`${source}:`, ...lines.map((line) => `  ${line}`)]),
    ...(running === undefined ? [] : [running]),
    `Next: ${advice}`,
  ].join("\n");
}

/**
 * The failure of one cluster, which others of the deployment may share.
 *
 * @param cluster Full name.
 * @param what As {@link failureMessage} has it.
 */
export function launchFailure(
  cluster: string,
  what: string,
  failure: Failure,
  details: FailureDetails,
): CausedFailure {
  // Where it failed is the same for many causes: what was printed last tells them apart.
  const said = VAGUE.has(failure.kind) ? (details.lines?.at(-1)?.trim() ?? "") : "";
  const reason = [`${FAILURES[failure.kind].title}. ${failure.cause}`, said].filter(Boolean).join(" | ");
  return new CausedFailure(cluster, reason, failureMessage(what, failure, details), details.running);
}
