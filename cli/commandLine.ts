import { resolve } from "node:path";
import { CommanderError } from "@commander-js/extra-typings";
import { ConfigError } from "../config/problems";
import { messageOf } from "../lib/run";
import { OperationFailed, UsageProblem } from "./pulumi/problem";

/**
 * What the exit codes of all commands say; docs/operations.md has the table by command. 1 and 2 as in
 * https://www.gnu.org/software/bash/manual/bash.html#Exit-Status.
 */
export const EXIT = {
  /** It worked, and what was asked about is as it should be. */
  ok: 0,
  /** It failed, or what was asked could not be found out. */
  failed: 1,
  /** The command or the configuration is wrong; nothing was done. */
  usage: 2,
  /** It was found out, and is not as it should be. */
  notAsWanted: 3,
  /** Of `drift`, where a mistake in the configuration is 1: as `terraform plan -detailed-exitcode` has it. */
  drift: 2,
} as const;

/**
 * The last paragraph of a command's usage: its exit codes, and what each says. A mistake in the usage is always 2.
 * @param wrong What a mistake in the usage is, where the command reads no configuration.
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

/** A path as the user means it: relative to where npm was called, not to the repository in which the tools run. */
export function fromCaller(path: string): string {
  return resolve(process.env["DYNAMO_SKY_CALLED_FROM"] ?? process.cwd(), path);
}

/** Whether the user can mend it by writing something else. */
export function isUsersMistake(error: unknown): boolean {
  return error instanceof UsageProblem || error instanceof ConfigError;
}

/** Longest time that an option may say, seconds: a week. */
const LONGEST_SECONDS = 604_800;

/** The seconds that an option says. @throws UsageProblem when it is no number of seconds. */
export function seconds(option: string, written: string): number {
  const number = Number(written);
  if (written.trim() !== "" && number > 0 && number <= LONGEST_SECONDS) return number;
  throw new UsageProblem(
    `${option} ${JSON.stringify(written)} is no number of seconds. Allowed: more than 0, at most ${LONGEST_SECONDS}.`,
  );
}

/**
 * Does work that ends early when the time of `--timeout` is over.
 * @param limit Seconds.
 * @throws OperationFailed that says so when the time is over.
 */
export async function withTimeout<T>(limit: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const late = () => controller.abort(new OperationFailed(`No end within ${limit} s (--timeout).`));
  const timer = setTimeout(late, limit * 1000);
  try {
    return await work(controller.signal);
  } catch (error) {
    // Whatever was interrupted complains in its own words.
    controller.signal.throwIfAborted();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** The whole number that an option says. @throws UsageProblem when it is none, or out of its range. */
export function wholeNumber(
  option: string,
  written: string,
  { least, most }: { readonly least: number; readonly most: number },
): number {
  const number = Number(written);
  if (written.trim() !== "" && Number.isInteger(number) && number >= least && number <= most) return number;
  throw new UsageProblem(
    `${option} ${JSON.stringify(written)} is not a whole number. Allowed: ${least} to ${most}.`,
  );
}

/** Where a deployment's outputs come from: `--stack` or `--outputs`. @throws UsageProblem unless one is given. */
export function oneOfTwo({
  stack,
  outputs,
}: {
  readonly stack?: string | undefined;
  readonly outputs?: string | undefined;
}): { readonly stack: string } | { readonly file: string } {
  if (stack !== undefined && outputs === undefined) return { stack };
  if (outputs !== undefined && stack === undefined) return { file: outputs };
  const isNone = stack === undefined;
  throw new UsageProblem(isNone ? "--stack is missing: which stack?" : "Say --stack or --outputs, not both.");
}

/**
 * Tells what went wrong without a stack trace, unless it is a mistake of this program: a TypeError, say, keeps its own.
 * @returns the exit code.
 */
export function exitCodeOf(error: unknown, wrongUse: number = EXIT.usage): number {
  // Commander has printed its own message, or the help that was asked for.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : wrongUse;
  console.error(isOurs(error) ? error.stack : messageOf(error));
  return isUsersMistake(error) ? wrongUse : EXIT.failed;
}

/** Runs a tool of those who work on this to its end, and ends the process. */
export function runTool(tool: { readonly parseAsync: () => Promise<unknown> }): void {
  tool.parseAsync().then(
    () => process.exit(process.exitCode ?? EXIT.ok),
    (error: unknown) => process.exit(exitCodeOf(error)),
  );
}

/** Whether it is a mistake of this program: then the place in it is what helps. */
function isOurs(error: unknown): error is Error {
  const isExpected = isUsersMistake(error) || error instanceof OperationFailed;
  return !isExpected && (error instanceof TypeError || error instanceof RangeError);
}
