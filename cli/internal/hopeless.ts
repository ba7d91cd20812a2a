/**
 * Log messages after which waiting is useless: the wait ends at once, with what to do, instead of at its time
 * limit.
 */

/** A cause and its remedy. */
interface Hopeless {
  /** Matched against lines of a frontend's log. */
  readonly said: RegExp;
  readonly message: string;
}

/** https://github.com/ai-dynamo/dynamo/blob/v1.6.1/lib/llm/src/preprocessor/prompt/template.rs */
const CAUSES: readonly Hopeless[] = [
  {
    said: /chat_template field is required/,
    message:
      "The model has no chat template, without which Dynamo's frontend does not take it in. If it is a base model, set " +
      "dynamo-sky:task to completions; if it makes vectors or classes, to embedding or classify.",
  },
];

/** Tolerated clock difference between nodes and this machine. Unit: milliseconds. */
const SKEW_MS = 10_000;

/**
 * The remedy for a cause found in log lines, if any.
 *
 * @param since Milliseconds by this machine's clock: older messages of an earlier run are ignored. Dynamo
 * repeats itself every 30 s.
 */
export function hopelessIn(lines: readonly string[], since: number): string | undefined {
  return CAUSES.find(({ said }) => lines.some((line) => said.test(line) && timeOf(line) >= since - SKEW_MS))
    ?.message;
}

/** Dynamo's lines start with the time; anything before it is SkyPilot's prefix. */
function timeOf(line: string): number {
  const [written] = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/.exec(line) ?? [];
  return written === undefined ? Number.NEGATIVE_INFINITY : Date.parse(written);
}
