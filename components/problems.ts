/** Mistakes of a user, as Pulumi shows them. */
import * as pulumi from "@pulumi/pulumi";
import { UserError } from "../lib/errors";

/** What every mistake of a user becomes before Pulumi sees it: it shows the message alone, and at once (`UserError` says why). */
export class ProgramError extends pulumi.RunError {
  override readonly stack: string = "";
}

/**
 * Does the work.
 * @throws ProgramError in place of a UserError.
 */
export function reported<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw inPulumisTerms(error);
  }
}

/**
 * The same for work that takes its time.
 * @throws ProgramError in place of a UserError.
 */
export async function reportedLater<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw inPulumisTerms(error);
  }
}

function inPulumisTerms(error: unknown): unknown {
  return error instanceof UserError ? new ProgramError(error.message) : error;
}
