/** Cancellation of operations. */

/** Sources of cancellation. */
export interface Cancellation {
  /** For the engine: not aborted by a terminal's signal, which the engine receives itself. */
  readonly signal: AbortSignal;
  /** For everything else: aborted by any cancellation. */
  readonly asked: AbortSignal;
  /** Whether the user has cancelled, including by a terminal's signal to the engine. */
  readonly isCancelled: () => boolean;
}

/**
 * The time limit and the first Ctrl-C let the engine complete its current steps. A terminal sends Ctrl-C to
 * the engine as well as to this process.
 * @param timeoutSeconds Default: no limit.
 */
export function cancellation(timeoutSeconds?: number): Cancellation {
  const controller = new AbortController();
  const asked = new AbortController();
  let last = 0;
  const cancel = (signal: NodeJS.Signals) => {
    const isRepeat = Date.now() - last < 500;
    last = Date.now();
    if (isRepeat) return;
    process.stderr.write("Cancelling: what is being done is brought to its end, nothing new is begun.\n");
    asked.abort();
    if (signal !== "SIGINT" || !process.stdin.isTTY) controller.abort();
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, cancel);
  if (timeoutSeconds !== undefined) {
    const late = () => {
      process.stderr.write(`--timeout: ${timeoutSeconds} s are over. `);
      cancel("SIGTERM");
    };
    setTimeout(late, timeoutSeconds * 1000).unref();
  }
  return { signal: controller.signal, asked: asked.signal, isCancelled: () => last > 0 };
}
