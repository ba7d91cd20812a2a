import type { z } from "zod";
import type { Progress } from "./progress";

/** What a verb is given besides its input. */
export interface VerbContext {
  readonly progress: Progress;
  /** Aborted by the verb's time limit, SIGTERM, SIGINT, and the death of the process that started the driver. */
  readonly signal: AbortSignal;
  /** Prints the verb's result as one line of JSON on standard output. */
  readonly result: (value: unknown) => void;
}

/** One thing that the driver can do. */
export interface Verb<S extends z.ZodType = z.ZodType> {
  /** Checks the JSON from standard input. */
  readonly input: S;
  /** Bound on the whole verb in seconds, for when one of its own bounds does not work. */
  readonly timeoutSeconds: (input: z.output<S>) => number;
  /** @throws UserError with a message that a person can act on. */
  readonly run: (input: z.output<S>, context: VerbContext) => Promise<void>;
}

/** Ties the type of a verb's input to its schema. */
export function defineVerb<S extends z.ZodType>(verb: Verb<S>): Verb<S> {
  return verb;
}
