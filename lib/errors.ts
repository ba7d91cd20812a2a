/**
 * A mistake of the user, or a failure that the user can act on: only its message is printed.
 *
 * It has no stack trace: it would not help, and Pulumi's Node.js host inspects the errors of a program with
 * colours (`defaultErrorMessage` in cmd/run/error.js of @pulumi/pulumi), for which Node.js 20 and 22
 * highlight the paths of modules in the trace: this took up to 15 s.
 */
export class UserError extends Error {
  override readonly name: string = "UserError";
  override readonly stack: string = "";
}

/** Code of an error of Node's: `ENOENT`, `ECONNREFUSED`; undefined if it has none. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}

/** A failure whose cause others may share: whoever fails for the same one needs but a line. */
export class CausedFailure extends UserError {
  /**
   * @param who What has failed: `decode-1`.
   * @param reason Why, in a line; also told of those that fail for the same one.
   * @param message All that is to tell.
   * @param own What is to tell of each, also where the cause is told elsewhere. Default: nothing.
   */
  constructor(
    readonly who: string,
    readonly reason: string,
    message: string,
    readonly own?: string,
  ) {
    super(message);
  }
}
