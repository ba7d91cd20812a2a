import { randomBytes } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { link, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { UserError } from "../lib/errors";
import { isAlive } from "../lib/run";

/** Receives one line of progress, meant for a person. */
export type Progress = (line: string) => void;

/** What is remembered of a tool that was found or installed, so that the next look is quick. */
export interface Stamp {
  /** Absolute path of the program, or of the directory where the tool is a directory. */
  readonly path: string;
  readonly version: string;
  /** How it came to be there, for a person: `on PATH`, `built with Go` … */
  readonly way: string;
  /** Size and modification time of the program when it was checked; a replaced program is checked again. */
  readonly fingerprint: string;
}

const lockPollMs = 200;
const heartbeatMs = 15_000;

function fingerprint(path: string): string | undefined {
  const info = statSync(path, { throwIfNoEntry: false });
  if (!info) return undefined;
  return info.isDirectory() ? "directory" : `${info.size}:${Math.trunc(info.mtimeMs)}`;
}

function stampFile(cache: string, key: string): string {
  return join(cache, "stamps", `${key}.json`);
}

/** The stamp of a tool, when what it speaks of is still there unchanged. */
export function readStamp(cache: string, key: string): Stamp | undefined {
  const stamp = parseStamp(stampFile(cache, key));
  return stamp && fingerprint(stamp.path) === stamp.fingerprint ? stamp : undefined;
}

function parseStamp(file: string): Stamp | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(file, "utf8"));
    if (typeof value !== "object" || value === null) return undefined;
    const { path, version, way, fingerprint: print } = value as Record<string, unknown>;
    if (typeof path !== "string" || typeof version !== "string") return undefined;
    if (typeof way !== "string" || typeof print !== "string") return undefined;
    return { path, version, way, fingerprint: print };
  } catch {
    return undefined;
  }
}

/** Remembers a tool whose path exists. */
export async function writeStamp(
  cache: string,
  key: string,
  found: Omit<Stamp, "fingerprint">,
): Promise<Stamp> {
  const print = fingerprint(found.path);
  if (print === undefined)
    throw new UserError(`${found.path} does not exist, though it was just made or found`);
  const stamp = { ...found, fingerprint: print };
  const file = stampFile(cache, key);
  await writeFileAtomically(file, `${JSON.stringify(stamp, undefined, 2)}\n`);
  return stamp;
}

/** Writes a file so that a reader sees the old text or the new one, never a part. */
export async function writeFileAtomically(file: string, text: string, mode = 0o644): Promise<void> {
  const temporary = `${file}.${process.pid}.${randomBytes(4).toString("hex")}`;
  await mkdir(dirname(file), { recursive: true });
  await writeFile(temporary, text, { mode });
  await rename(temporary, file);
}

/**
 * Makes a directory of the cache all at once: `build` fills a temporary directory, which then takes its final name.
 * An interrupted build leaves nothing under the final name; what it left is removed by the next one.
 */
export async function installDirectory(
  cache: string,
  name: string,
  build: (directory: string) => Promise<void>,
): Promise<string> {
  const final = join(cache, name);
  const temporary = join(cache, `.tmp-${name}-${process.pid}-${randomBytes(4).toString("hex")}`);
  await removeLeftovers(cache);
  await mkdir(temporary, { recursive: true });
  try {
    await build(temporary);
    await rm(final, { recursive: true, force: true });
    await rename(temporary, final);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return final;
}

async function removeLeftovers(cache: string): Promise<void> {
  for (const entry of await readdir(cache).catch(() => [])) {
    const pid = /^\.tmp-.*-(\d+)-[0-9a-f]{8}$/.exec(entry)?.[1];
    if (pid !== undefined && !isAlive(Number(pid)))
      await rm(join(cache, entry), { recursive: true, force: true });
  }
}

/** How long, and for what, `withLock` waits. */
export interface LockOptions {
  /** What the holder is doing, for the message: `installing Python`. */
  readonly purpose: string;
  /** Longest wait for another process, in seconds. */
  readonly waitSeconds: number;
  readonly onProgress: Progress;
}

/**
 * Runs `work` while holding a lock file, so that two processes do not install the same thing at once.
 * The lock of a process of this host that is dead is taken over.
 * @throws Error when the holder keeps it longer than the wait.
 */
export async function withLock<T>(file: string, options: LockOptions, work: () => Promise<T>): Promise<T> {
  await mkdir(dirname(file), { recursive: true });
  const started = Date.now();
  let told = false;
  while (!(await tryLock(file))) {
    const holder = await lockHolder(file);
    if (holder === undefined) continue;
    if (isStale(holder)) {
      await removeStaleLock(file, holder.text);
      continue;
    }
    const who = `process ${holder.pid} on ${holder.host}`;
    if (!told) {
      options.onProgress(`${who} is ${options.purpose}; waiting up to ${options.waitSeconds} s for it`);
      told = true;
    }
    if (Date.now() - started > options.waitSeconds * 1000) {
      throw new UserError(
        `Waited ${options.waitSeconds} s for ${who}, which is ${options.purpose}. If it is not at work, remove ${file}`,
      );
    }
    await delay(lockPollMs);
  }
  try {
    return await work();
  } finally {
    await rm(file, { force: true });
  }
}

interface LockHolder {
  readonly pid: number;
  readonly host: string;
  readonly text: string;
}

async function tryLock(file: string): Promise<boolean> {
  const unique = randomBytes(4).toString("hex");
  const temporary = `${file}.${process.pid}.${unique}`;
  await writeFile(temporary, `${process.pid} ${hostname()} ${unique}`);
  try {
    // Unlike opening it exclusively, this makes the lock appear with its holder's name in it.
    await link(temporary, file);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  } finally {
    await rm(temporary, { force: true });
  }
}

async function lockHolder(file: string): Promise<LockHolder | undefined> {
  const text = await readFile(file, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const [pid, host] = text.split(" ");
  return { pid: Number(pid), host: host ?? "an unknown host", text };
}

function isStale(holder: LockHolder): boolean {
  return holder.host === hostname() && !isAlive(holder.pid);
}

/** Moves the stale lock aside; if another process has replaced it meanwhile, puts that one back. */
async function removeStaleLock(file: string, text: string): Promise<void> {
  const aside = `${file}.stale-${process.pid}`;
  await rename(file, aside).catch(() => undefined);
  const moved = await readFile(aside, "utf8").catch(() => undefined);
  if (moved !== undefined && moved !== text) await rename(aside, file);
  else await rm(aside, { force: true });
}

/** Says every 15 seconds that long work is still going on, since when, and how long it may take. */
export async function withHeartbeat<T>(
  what: string,
  limitSeconds: number,
  onProgress: Progress,
  work: () => Promise<T>,
): Promise<T> {
  const started = Date.now();
  const timer = setInterval(() => {
    const seconds = Math.round((Date.now() - started) / 1000);
    onProgress(`${what}: at it for ${seconds} s (limit ${limitSeconds} s)`);
  }, heartbeatMs);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}
