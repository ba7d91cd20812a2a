/** Last lines of log files, for error messages. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";

const TAIL_BYTES = 1_048_576;

/**
 * The last lines of the given files, one file after the other, each line indented. Missing files have none.
 */
export function lastLines(paths: readonly string[], count: number): string[] {
  return paths.flatMap((path) => indented(path, tail(path).slice(-count)));
}

/** Lines for a message, below where they are from. */
export function indented(source: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [`  ${source}:`, ...lines.map((line) => `    ${line}`)];
}

/** Whether `runtime/launch.py` wrote the line: it does not tell why a program crashed. */
export function isLaunchers(line: string): boolean {
  return (
    STARTED.test(line) ||
    /^\s*(ended soon after its start \d+ times?|ending what an earlier run left behind)/.test(line)
  );
}

/** A program's first line of each start. */
const STARTED = /^\s*started at (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)$/;

/** What a program has said, oldest first. */
export interface ProgramLog {
  readonly program: string;
  readonly lines: readonly string[];
}

/** One start of a program, and what it said until the next. */
export interface Run {
  readonly lines: readonly string[];
  /** Milliseconds since 1970; the launcher writes seconds. */
  readonly startedAt: number;
  /** Next start, milliseconds since 1970; undefined if there was none since. */
  readonly nextAt: number | undefined;
}

/** A program's log by its starts, oldest first. Lines before the first start that it has are left out. */
export function runsIn(log: readonly string[]): Run[] {
  const starts = log.flatMap((line, index) => {
    const [, at] = STARTED.exec(line) ?? [];
    return at === undefined ? [] : { index, at: Date.parse(at) };
  });
  return starts.map(({ index, at }, place) => {
    const next = starts[place + 1];
    return { lines: log.slice(index + 1, next?.index), startedAt: at, nextAt: next?.at };
  });
}

const NAMES_AN_ERROR = /\b(\w*(Error|Exception)|error|ERROR|[Ff]atal|panicked|[Cc]annot|No such file)\b/;

/** The last line with an error: usually the cause, below the traces and above its consequences. */
export function causeIn(lines: readonly string[]): string | undefined {
  return lines.findLast((line) => NAMES_AN_ERROR.test(line) && !isLaunchers(line))?.trim();
}

/**
 * The lines at the end of a file, at most 1 MiB of them, without empty ones; none where there is no file.
 */
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
