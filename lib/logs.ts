/** The ends of log files, for messages about failures. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";

const TAIL_BYTES = 131_072;

/** The last lines of the given files, the files one after the other, each line indented. Missing files have none. */
export function lastLines(paths: readonly string[], count: number): string[] {
  return paths.flatMap((path) => {
    const lines = tail(path).slice(-count);
    return lines.length === 0 ? [] : [`  ${path}:`, ...lines.map((line) => `    ${line}`)];
  });
}

function tail(path: string): string[] {
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
