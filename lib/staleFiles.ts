import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";

/** @param time Milliseconds since 1970. @returns false if there is no such file. */
export function isOlder(file: string, time: number): boolean {
  const written = statSync(file, { throwIfNoEntry: false })?.mtimeMs;
  return written !== undefined && written < time;
}

/** Removes a directory's files that were written before that time. */
export function removeOlder(directory: string, time: number): void {
  for (const name of readdirSync(directory)) {
    const file = join(directory, name);
    if (isOlder(file, time)) rmSync(file, { force: true });
  }
}
