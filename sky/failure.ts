/** Classifies failures of SkyPilot by its output: cause and next step. Pure. */
import { CausedFailure } from "../lib/errors";
import { CAUSES, type Cause, FAILURES, type FailureKind } from "./causes";
import { slurmWait } from "./slurmReasons";

export interface Failure {
  readonly kind: FailureKind;
  /** SkyPilot's own message. */
  readonly cause: string;
}

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
export function hopeless(reason: string, waitsForOthers: boolean): Failure | undefined {
  const wait = slurmWait(reason);
  if (wait?.meaning === undefined || (wait.ends === "others" && waitsForOthers)) return undefined;
  return {
    kind: wait.ends === "nothing" ? "slurm" : "others",
    cause: `${wait.code}: ${wait.meaning}. SkyPilot says: ${reason}`,
  };
}

function tidy(line: string): string {
  const text = line.trim().replace(/^([\w.]+\.)?\w*(Error|Exception): /, "");
  return text.length <= LONGEST_CAUSE ? text : `${text.slice(0, LONGEST_CAUSE)} …`;
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
