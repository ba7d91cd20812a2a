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
const REPORT_EVERY_MS = 10_000;

/**
 * Polls until the condition holds, with growing intervals. Prints what is missing when that changes, and
 * every ten seconds.
 *
 * @returns Undefined when the condition holds, or what was still missing at the time limit.
 * @throws Errors of `check`, and the signal's reason.
 */
export async function poll({ timeoutSeconds, progress, signal, check }: Poll): Promise<string | undefined> {
  const started = performance.now();
  let pause = FIRST_PAUSE_MS;
  let printed = { text: "", at: started - REPORT_EVERY_MS + QUIET_MS };
  for (;;) {
    signal.throwIfAborted();
    const missing = await check();
    if (missing === undefined) return undefined;
    const now = performance.now();
    const waited = (now - started) / 1000;
    if (waited >= timeoutSeconds) return missing;
    // A wait of less than a second is not printed.
    const due = now - started >= QUIET_MS && missing !== printed.text;
    if (due || now - printed.at >= REPORT_EVERY_MS) {
      progress.line(`waiting for ${missing} (${Math.round(waited)} of at most ${timeoutSeconds} s)`);
      printed = { text: missing, at: now };
    }
    await sleep(Math.min(pause, Math.max(1, timeoutSeconds * 1000 - (now - started))), undefined, { signal });
    pause = Math.min(LONGEST_PAUSE_MS, pause * 1.3);
  }
}
