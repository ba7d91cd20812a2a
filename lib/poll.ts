/** Bounded waiting by condition. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Progress } from "./progress";

export interface Poll {
  /** Seconds after which waiting ends. */
  readonly timeoutSeconds: number;
  readonly progress: Progress;
  /** Ends the wait early: the verb's time limit, a signal, or the parent's death. */
  readonly signal: AbortSignal;
  /** Undefined when the condition holds; else what is waited for, for the progress and the error. */
  readonly check: () => Promise<string | undefined>;
}

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 500;
const QUIET_MS = 1000;
const REPORT_EVERY_MS = 10_000;

/**
 * Asks until the condition holds, first often and then more rarely. Prints what is waited for when that changes, and
 * every ten seconds.
 *
 * @returns Undefined when the condition holds, else what was still waited for when the time was over.
 * @throws Whatever `check` throws, and the signal's reason.
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
    // What is over within a second is not worth a line.
    const due = now - started >= QUIET_MS && missing !== printed.text;
    if (due || now - printed.at >= REPORT_EVERY_MS) {
      progress.line(`waiting for ${missing} (${Math.round(waited)} of at most ${timeoutSeconds} s)`);
      printed = { text: missing, at: now };
    }
    await sleep(Math.min(pause, Math.max(1, timeoutSeconds * 1000 - (now - started))), undefined, { signal });
    pause = Math.min(LONGEST_PAUSE_MS, pause * 1.3);
  }
}
