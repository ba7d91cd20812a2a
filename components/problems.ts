/** Mistakes of a user, as Pulumi shows them. */
import * as pulumi from "@pulumi/pulumi";
import { ConfigError } from "../plan/problems";

/**
 * Does the work.
 * @throws pulumi.RunError in place of a ConfigError: Pulumi shows its message without a stack trace.
 */
export function reported<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof ConfigError) throw new pulumi.RunError(error.message);
    throw error;
  }
}
