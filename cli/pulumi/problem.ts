import type { Observed } from "./events";

/** A mistake in a command line or the configuration: printed without a stack trace, exit code 2. */
export class UsageProblem extends Error {
  constructor(message: string) {
    super(message);
    this.name = "UsageProblem";
  }
}

/** A failed operation of the engine: printed without a stack trace, exit code 1. */
export class OperationFailed extends Error {
  /** @param observed What the operation did before it failed; undefined if the engine was not reached. */
  constructor(
    message: string,
    readonly observed?: Observed,
  ) {
    super(message);
    this.name = "OperationFailed";
  }
}
