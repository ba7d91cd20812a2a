import type { Observed } from "./events";

/** A mistake in how a command was called or in what is configured: told without a stack trace, exit code 2. */
export class UsageProblem extends Error {
  constructor(message: string) {
    super(message);
    this.name = "UsageProblem";
  }
}

/** An operation of the engine that failed: told without a stack trace, exit code 1. */
export class OperationFailed extends Error {
  /** @param observed What the operation was seen to do until then; undefined where the engine was not reached. */
  constructor(
    message: string,
    readonly observed?: Observed,
  ) {
    super(message);
    this.name = "OperationFailed";
  }
}
