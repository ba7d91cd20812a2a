/** Waiting for a condition with a time limit. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Progress } from "./progress";

export interface Poll {
  /** Time limit in seconds. */
  readonly timeoutSeconds: number;
  readonly progress: Progress;
  /** Aborts the wait: the verb's time limit, a signal, or the parent's exit. */
  readonly signal: AbortSignal;
  /** Undefined when the condition holds; otherwise what is missing, for the progress and the error. */
  readonly check: () => Promise<string | undefined>;
}

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 500;
const QUIET_MS = 1000;
/** What is waited for may go to and fro; each of it is worth no line. */
const CHANGE_EVERY_MS = 5000;
const REPEAT_EVERY_MS = 10_000;
/** An hour of waiting is no page of lines. */
const LONGEST_REPEAT_MS = 60_000;

/**
 * Asks until the condition holds, first often and then more rarely. Prints what is waited for when that changes, at most every five
 * seconds, and else after ten seconds, twenty, and so on up to a minute.
 *
 * @returns Undefined when the condition holds, else what was still waited for when the time was over.
 * @throws Whatever `check` throws, and the signal's reason.
 */
export async function poll({ timeoutSeconds, progress, signal, check }: Poll): Promise<string | undefined> {
  const started = performance.now();
  let pause = FIRST_PAUSE_MS;
  const isDue = lineSchedule();
  for (;;) {
    signal.throwIfAborted();
    const missing = await check();
    if (missing === undefined) return undefined;
    const now = performance.now();
    const waited = (now - started) / 1000;
    if (waited >= timeoutSeconds) return missing;
    if (isDue(missing, now - started))
      progress.line(`waiting for ${missing} (${Math.round(waited)} of at most ${timeoutSeconds} s)`);
    await sleep(Math.min(pause, Math.max(1, timeoutSeconds * 1000 - (now - started))), undefined, { signal });
    pause = Math.min(LONGEST_PAUSE_MS, pause * 1.3);
  }
}

/** When what is waited for is worth a line: to be asked with it and the milliseconds since the wait began. */
export function lineSchedule(): (missing: string, elapsedMs: number) => boolean {
  // What is over within a second is worth none.
  let printed = { text: "", at: QUIET_MS - CHANGE_EVERY_MS };
  let repeat = REPEAT_EVERY_MS;
  return (missing, elapsedMs) => {
    const hasChanged = missing !== printed.text;
    if (elapsedMs - printed.at < (hasChanged ? CHANGE_EVERY_MS : repeat)) return false;
    repeat = hasChanged ? REPEAT_EVERY_MS : Math.min(LONGEST_REPEAT_MS, 2 * repeat);
    printed = { text: missing, at: elapsedMs };
    return true;
  };
}
