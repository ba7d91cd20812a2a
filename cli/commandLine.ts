import { resolve } from "node:path";
import { CommanderError } from "@commander-js/extra-typings";
import { ConfigError } from "../config/problems";
import { messageOf } from "../lib/run";
import { OperationFailed, UsageProblem } from "./pulumi/problem";
import { missingStack } from "./pulumi/project";

/**
 * Meaning of the exit codes of all commands; docs/operations.md has a table by command. 1 and 2 as in
 * https://www.gnu.org/software/bash/manual/bash.html#Exit-Status.
 */
export const EXIT = {
  /** Success, and the checked state is as expected. */
  ok: 0,
  /** Failure, or the state could not be determined. */
  failed: 1,
  /** Invalid command or configuration; nothing was done. */
  usage: 2,
  /** The state was determined, and is not as expected. */
  notAsWanted: 3,
  /** For `drift`, where a mistake in the configuration is 1: like `terraform plan -detailed-exitcode`. */
  drift: 2,
} as const;

/**
 * The last paragraph of a command's usage: its exit codes and their meaning. A usage error is always 2.
 * @param wrong Description of a usage error, if the command reads no configuration.
 */
export function exitCodes(
  {
    ok,
    failed,
    notAsWanted,
  }: { readonly ok: string; readonly failed?: string; readonly notAsWanted?: string },
  wrong = "the command or the configuration is wrong",
): string {
  const told = [
    `${EXIT.ok} ${ok}`,
    ...(failed === undefined ? [] : [`${EXIT.failed} ${failed}`]),
    `${EXIT.usage} ${wrong}`,
    ...(notAsWanted === undefined ? [] : [`${EXIT.notAsWanted} ${notAsWanted}`]),
  ];
  return `Exit code: ${told.join(", ")}.`;
}

/** Resolves a path relative to npm's caller, not to the repository in which the tools run. */
export function fromCaller(path: string): string {
  return resolve(process.env["DYNAMO_SKY_CALLED_FROM"] ?? process.cwd(), path);
}

/** Whether it is a mistake in the user's input. */
export function isUsersMistake(error: unknown): boolean {
  return error instanceof UsageProblem || error instanceof ConfigError;
}

/** Longest time for an option, seconds: a week. */
const LONGEST_SECONDS = 604_800;

/** Parses seconds. @throws UsageProblem if it is not a number of seconds. */
export function seconds(option: string, written: string): number {
  const number = Number(written);
  if (written.trim() !== "" && number > 0 && number <= LONGEST_SECONDS) return number;
  throw new UsageProblem(
    `${option} ${JSON.stringify(written)} is no number of seconds. Allowed: more than 0, at most ${LONGEST_SECONDS}.`,
  );
}

/**
 * Runs work that is aborted when the time limit of `--timeout` is reached.
 * @param limit Seconds.
 * @throws OperationFailed on a timeout.
 */
export async function withTimeout<T>(limit: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const late = () => controller.abort(new OperationFailed(`No end within ${limit} s (--timeout).`));
  const timer = setTimeout(late, limit * 1000);
  try {
    return await work(controller.signal);
  } catch (error) {
    // Replaces the interrupted work's own error.
    controller.signal.throwIfAborted();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** The number that is written; undefined if it is no whole number within the limits. */
export function wholeNumberIn(
  written: string,
  { least, most }: { readonly least: number; readonly most: number },
): number | undefined {
  const number = Number(written);
  const isOne = written.trim() !== "" && Number.isInteger(number) && number >= least && number <= most;
  return isOne ? number : undefined;
}

/** Parses a whole number. @throws UsageProblem if it is none, or out of range. */
export function wholeNumber(
  option: string,
  written: string,
  { least, most }: { readonly least: number; readonly most: number },
): number {
  const number = wholeNumberIn(written, { least, most });
  if (number !== undefined) return number;
  throw new UsageProblem(
    `${option} ${JSON.stringify(written)} is not a whole number. Allowed: ${least} to ${most}.`,
  );
}

/**
 * Where a deployment's outputs are: `--stack` or `--state`. @throws UsageProblem unless exactly one is given.
 * @param cwd Directory of Pulumi.yaml.
 */
export function oneOfTwo({
  stack,
  state,
  cwd,
}: {
  readonly stack?: string | undefined;
  readonly state?: string | undefined;
  readonly cwd: string;
}): { readonly stack: string } | { readonly file: string } {
  if (stack !== undefined && state === undefined) return { stack };
  if (state !== undefined && stack === undefined) return { file: state };
  throw new UsageProblem(stack === undefined ? missingStack(cwd) : "Say --stack or --state, not both.");
}

/**
 * Prints an error without a stack trace, except bugs of this program, such as a TypeError.
 * @returns the exit code.
 */
export function exitCodeOf(error: unknown, wrongUse: number = EXIT.usage): number {
  // Commander has already printed its message, or the requested help.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : wrongUse;
  console.error(isOurs(error) ? error.stack : messageOf(error));
  return isUsersMistake(error) ? wrongUse : EXIT.failed;
}

/** Runs a developer's tool and exits the process. */
export function runTool(tool: { readonly parseAsync: () => Promise<unknown> }): void {
  tool.parseAsync().then(
    () => process.exit(process.exitCode ?? EXIT.ok),
    (error: unknown) => process.exit(exitCodeOf(error)),
  );
}

/** Whether it is a bug of this program: then the stack trace helps. */
function isOurs(error: unknown): error is Error {
  const isExpected = isUsersMistake(error) || error instanceof OperationFailed;
  return !isExpected && (error instanceof TypeError || error instanceof RangeError);
}
