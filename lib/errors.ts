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
