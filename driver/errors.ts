/** A failure that a person can act on: shown as it is, without a stack trace. */
export class UserError extends Error {
  override readonly name = "UserError";
}
