/** Errors of the user, in the form that Pulumi prints. */
import * as pulumi from "@pulumi/pulumi";
import { UserError } from "../lib/errors";

/** The form of all user errors for Pulumi: it prints only the message, and immediately (see `UserError`). */
export class ProgramError extends pulumi.RunError {
  override readonly stack: string = "";
}

/**
 * Runs the function.
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
 * The same for an async function.
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
