/** What a program says when no waiting helps: then the wait ends at once, with what to do, and not when its time is over. */

/** A cause and its remedy. */
interface Hopeless {
  /** In a line of a frontend's log. */
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

/** Clocks of nodes may differ from this one by so much. Unit: milliseconds. */
const SKEW_MS = 10_000;

/**
 * The remedy for what lines of a log say, where there is one.
 *
 * @param since Time by this machine's clock, milliseconds: what an earlier run has said does not count. Dynamo repeats itself every 30 s.
 */
export function hopelessIn(lines: readonly string[], since: number): string | undefined {
  return CAUSES.find(({ said }) => lines.some((line) => said.test(line) && timeOf(line) >= since - SKEW_MS))
    ?.message;
}

/** Dynamo begins its lines with the time; what else is before it is SkyPilot's. */
function timeOf(line: string): number {
  const [written] = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/.exec(line) ?? [];
  return written === undefined ? Number.NEGATIVE_INFINITY : Date.parse(written);
}
