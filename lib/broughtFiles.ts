/**
 * The deployment's own files (`files` of the configuration) on this machine: their contents, and copies for a
 * node.
 */

import { createHash, scryptSync } from "node:crypto";
import {
  accessSync,
  chmodSync,
  constants,
  cpSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { z } from "zod";
import { codeOf } from "./errors";
import { filesNamedIn } from "./placeholders";

/** A local file or directory. */
export const broughtSchema = z.strictObject({
  /** As in the configuration: relative to the project's directory, in which the driver runs too. */
  path: z.string().min(1),
  /** Digest of all its contents. */
  digest: z.string(),
});
export type Brought = Readonly<z.output<typeof broughtSchema>>;
/** By the name that programs use. */
export type BroughtFiles = Readonly<Record<string, Brought>>;

/**
 * For more use a bucket or a volume: this is copied to every node through SkyPilot's own connection. Bytes.
 */
export const LARGEST = 100_000_000;
const MOST_ENTRIES = 10_000;

/** A file that cannot be copied; the message continues the path. */
export class NotBrought extends Error {}

/**
 * Reads a file or directory to copy.
 * @throws NotBrought if it does not exist, or cannot be copied.
 */
export function readBrought(path: string): Brought {
  const hash = createHash("sha256");
  let [bytes, entries] = [0, 0];
  const add = (at: string, name: string): void => {
    const entry = name === "" ? statSync(at) : lstatSync(at);
    if (entry.isDirectory()) {
      for (const child of readdirSync(at).toSorted()) add(join(at, child), `${name}/${child}`);
      return;
    }
    if (!entry.isFile()) throw new NotBrought(`${what(at, name)} neither a file nor a directory`);
    bytes += entry.size;
    entries += 1;
    if (bytes > LARGEST || entries > MOST_ENTRIES)
      throw new NotBrought(
        `has more than ${LARGEST / 1e6} MB or ${MOST_ENTRIES} files, too much for every node of every launch`,
      );
    hash.update(`${JSON.stringify([name, entry.size])}\n`).update(readFileSync(at));
  };
  try {
    add(resolve(path), "");
  } catch (error) {
    if (error instanceof NotBrought) throw error;
    throw new NotBrought(reasonOf(error, resolve(path)));
  }
  // Slow to compute: it is shown in previews, and a short secret could be guessed from a fast digest.
  return { path, digest: scryptSync(hash.digest(), "dynamo-sky", 8).toString("hex") };
}

/**
 * What a path of this machine leads to, for somebody else to copy.
 * @throws NotBrought if there is nothing, or nothing that this user can read.
 */
export function readableKind(path: string): "file" | "directory" | "other" {
  const at = resolve(path);
  try {
    const entry = statSync(at);
    accessSync(at, entry.isDirectory() ? constants.R_OK | constants.X_OK : constants.R_OK);
    if (entry.isDirectory()) return "directory";
    return entry.isFile() ? "file" : "other";
  } catch (error) {
    throw new NotBrought(reasonOf(error, at));
  }
}

function what(at: string, name: string): string {
  return name === "" ? "is" : `holds ${JSON.stringify(at)}, which is`;
}

function reasonOf(error: unknown, at: string): string {
  const code = codeOf(error);
  if (code === "ENOENT" || code === "ENOTDIR") return `is not there (${at})`;
  if (code === "EACCES" || code === "EPERM") return `cannot be read by this user (${at})`;
  if (code === "ELOOP") return `leads nowhere: it is a link in a circle (${at})`;
  return `cannot be read: ${error instanceof Error ? error.message : String(error)}`;
}

/** What a file or directory consists of: path below it, whether it is executable, and base64 of a file. */
export type Entries = readonly (readonly [path: string, isExecutable: boolean, content: string | null])[];

/** The contents of a file or directory, a directory before what it holds. */
export function entriesOf({ path }: Brought): Entries {
  const below = (at: string, name: string): Entries => {
    const entry = statSync(at);
    if (!entry.isDirectory()) return [[name, (entry.mode & 0o100) !== 0, readFileSync(at, "base64")]];
    const children = readdirSync(at).flatMap((child) =>
      below(join(at, child), name === "" ? child : `${name}/${child}`),
    );
    return [[name, false, null], ...children];
  };
  return below(resolve(path), "");
}

/** A specification with the digests of the files that it reads, so that a program restarts if one changes. */
export function withDigests<T extends object>(
  specification: T,
  files: BroughtFiles,
): T & { readonly brought?: Readonly<Record<string, string>> } {
  const own = Object.entries(broughtTo(specification, files)).map(
    ([name, { digest }]) => [name, digest] as const,
  );
  return own.length === 0 ? specification : { ...specification, brought: Object.fromEntries(own) };
}

/** Files that a program reads: those named anywhere in its specification. */
export function broughtTo(specification: object, files: BroughtFiles): BroughtFiles {
  const named = new Set(filesNamedIn(JSON.stringify(specification)));
  return Object.fromEntries(Object.entries(files).filter(([name]) => named.has(name)));
}

/** Copies them to a directory, readable by this user only, each atomically. */
export function copyBrought(files: BroughtFiles, directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  for (const [name, { path }] of Object.entries(files)) {
    const target = join(directory, name);
    const partial = join(dirname(target), `.${name}.${process.pid}`);
    rmSync(partial, { recursive: true, force: true });
    cpSync(resolve(path), partial, { recursive: true, dereference: true });
    closeToOthers(partial);
    // A directory cannot be renamed onto another one.
    if (statSync(target, { throwIfNoEntry: false })?.isDirectory()) rmSync(target, { recursive: true });
    renameSync(partial, target);
  }
}

/** Like `own` of `runtime/start.py` on SkyPilot's nodes: keeps the executable bit. */
function closeToOthers(path: string): void {
  const entry = lstatSync(path);
  chmodSync(path, entry.isDirectory() ? 0o700 : (entry.mode & 0o100) | 0o600);
  if (entry.isDirectory()) for (const child of readdirSync(path)) closeToOthers(join(path, child));
}
