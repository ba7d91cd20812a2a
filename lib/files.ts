/** Files that are written whole: a reader sees the old text or the new one, never a part. */
import { randomBytes } from "node:crypto";
import { linkSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/** Of a file that its owner alone reads. */
const PRIVATE = 0o600;

/** The text under another name beside the file, until `place` has made it the file. */
function withText(file: string, text: string, mode: number, place: (partial: string) => void): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const partial = `${file}.${process.pid}.${randomBytes(4).toString("hex")}`;
  try {
    writeFileSync(partial, text, { mode });
    place(partial);
  } finally {
    rmSync(partial, { force: true });
  }
}

/** Writes a file, and its directory where there is none, for its owner only (mode 0600). */
export function writePrivate(file: string, text: string): void {
  withText(file, text, PRIVATE, (partial) => renameSync(partial, file));
}

/** Writes a file that other users may read (mode 0644). */
export function writePublic(file: string, text: string): void {
  withText(file, text, 0o644, (partial) => renameSync(partial, file));
}

/**
 * Like {@link writePrivate}, but never replaces a file, also not one that another process has just made.
 * @returns Whether it was written; false if there was one.
 */
export function createPrivate(file: string, text: string): boolean {
  let isNew = true;
  withText(file, text, PRIVATE, (partial) => {
    try {
      linkSync(partial, file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      isNew = false;
    }
  });
  return isNew;
}
