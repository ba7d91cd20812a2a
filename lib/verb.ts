import type { z } from "zod";
import type { Progress } from "./progress";

/** Context of a verb. */
export interface VerbContext {
  readonly progress: Progress;
  /** Aborted by the verb's time limit, SIGTERM, SIGINT, and the exit of the driver's parent process. */
  readonly signal: AbortSignal;
  /** Prints the verb's result as one line of JSON on standard output. */
  readonly result: (value: unknown) => void;
}

/** An operation of the driver. */
export interface Verb<S extends z.ZodType = z.ZodType> {
  /** Validates the JSON from standard input. */
  readonly input: S;
  /** Time limit of the whole verb in seconds, in case one of its own limits does not work. */
  readonly timeoutSeconds: (input: z.output<S>) => number;
  /** @throws UserError with a message that the user can act on. */
  readonly run: (input: z.output<S>, context: VerbContext) => Promise<void>;
}

/** Ties the type of a verb's input to its schema. */
export function defineVerb<S extends z.ZodType>(verb: Verb<S>): Verb<S> {
  return verb;
}
