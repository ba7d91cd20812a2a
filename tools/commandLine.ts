import { resolve } from "node:path";
import { ConfigError } from "../plan/problems";
import { OperationFailed, UsageProblem } from "./pulumi/problem";
import { messageOf } from "./toolchain/run";

/** What a tool's exit code says: https://www.gnu.org/software/bash/manual/bash.html#Exit-Status knows 1 and 2 in the same sense. */
export const EXIT = {
  ok: 0,
  /** It failed. */
  failed: 1,
  /** The command or the configuration is wrong. */
  usage: 2,
} as const;

/** A path as the user means it: relative to where npm was called, not to the repository in which the tools run. */
export function fromCaller(path: string): string {
  return resolve(process.env["DYNAMO_SKY_CALLED_FROM"] ?? process.cwd(), path);
}

/** Whether the arguments do not fit what `util.parseArgs` was told. */
export function isArgumentError(error: unknown): boolean {
  return error instanceof TypeError && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS");
}

/** Whether the user can mend it by writing something else. */
export function isUsersMistake(error: unknown): boolean {
  return error instanceof UsageProblem || error instanceof ConfigError || isArgumentError(error);
}

/**
 * Runs a tool to its end and ends the process. What went wrong is told without a stack trace, unless it is a mistake of this
 * program: a TypeError, say, keeps its own.
 * @param usage Shown where an option is wrong.
 */
export function runTool(main: () => void | Promise<void>, usage: string): void {
  Promise.resolve()
    .then(main)
    .then(
      () => process.exit(process.exitCode ?? EXIT.ok),
      (error: unknown) => {
        console.error(isOurs(error) ? error.stack : messageOf(error));
        if (isArgumentError(error)) console.error(`\n${usage}`);
        process.exit(isUsersMistake(error) ? EXIT.usage : EXIT.failed);
      },
    );
}

function isOurs(error: unknown): error is Error {
  const isExpected = isUsersMistake(error) || error instanceof OperationFailed;
  return !isExpected && (error instanceof TypeError || error instanceof RangeError);
}
