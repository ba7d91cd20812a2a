/** Last lines of log files, for error messages. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";

const TAIL_BYTES = 131_072;

/**
 * The last lines of the given files, one file after the other, each line indented. Missing files have none.
 */
export function lastLines(paths: readonly string[], count: number): string[] {
  return paths.flatMap((path) => {
    const lines = tail(path).slice(-count);
    return lines.length === 0 ? [] : [`  ${path}:`, ...lines.map((line) => `    ${line}`)];
  });
}

/** Whether `runtime/launch.py` wrote the line: it does not tell why a program crashed. */
export function isLaunchers(line: string): boolean {
  return /^\s*(ended soon after its start \d+ times?|ending what an earlier run left behind)/.test(line);
}

const NAMES_AN_ERROR = /\b(\w*(Error|Exception)|error|ERROR|[Ff]atal|panicked|[Cc]annot|No such file)\b/;

/** The last line with an error: usually the cause, below the traces and above its consequences. */
export function causeIn(lines: readonly string[]): string | undefined {
  return lines.findLast((line) => NAMES_AN_ERROR.test(line) && !isLaunchers(line))?.trim();
}

/** The lines at the end of a file, at most 128 KiB of them, without empty ones; none where there is no file. */
export function tail(path: string): string[] {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch {
    return [];
  }
  try {
    const { size } = fstatSync(file);
    const buffer = Buffer.alloc(Math.min(size, TAIL_BYTES));
    readSync(file, buffer, 0, buffer.length, size - buffer.length);
    const lines = buffer.toString("utf8").split("\n");
    return (size > TAIL_BYTES ? lines.slice(1) : lines).filter((line) => line.trim() !== "");
  } finally {
    closeSync(file);
  }
}
