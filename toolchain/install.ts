import { randomBytes } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { link, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { codeOf, UserError } from "../lib/errors";
import { writePublic } from "../lib/files";
import { isAlive } from "../lib/run";

/** Called with one line of progress, for users. */
export type Progress = (line: string) => void;

/** Record of a tool that was found or installed, to make the next lookup fast. */
export interface Stamp {
  /** Absolute path of the program, or of the tool's directory. */
  readonly path: string;
  readonly version: string;
  /** How it was found or installed, for users: `on PATH`, `built with Go` … */
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

/** The stamp of a tool, if its program is unchanged. */
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

/** Writes the stamp of a tool whose path exists. */
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
  writePublic(file, `${JSON.stringify(stamp, undefined, 2)}\n`);
  return stamp;
}

/**
 * Creates a directory of the cache atomically: `build` fills a temporary directory, which is then renamed. An
 * interrupted build leaves nothing under the final name; its remains are removed by the next one.
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

/** Purpose and time limit of `withLock`. */
export interface LockOptions {
  /** The holder's activity, for the message: `installing Python`. */
  readonly purpose: string;
  /** Longest wait for another process, in seconds. */
  readonly waitSeconds: number;
  readonly onProgress: Progress;
}

/**
 * Runs `work` while holding a lock file, so that two processes do not install the same thing at once. The
 * lock of a process of this host that has exited is taken over.
 * @throws Error if another process holds it longer than the wait.
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
    // Unlike an exclusive open, this creates the lock with its holder's name in it.
    await link(temporary, file);
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
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

/** Moves the stale lock aside; if another process has replaced it meanwhile, moves that one back. */
async function removeStaleLock(file: string, text: string): Promise<void> {
  const aside = `${file}.stale-${process.pid}`;
  await rename(file, aside).catch(() => undefined);
  const moved = await readFile(aside, "utf8").catch(() => undefined);
  if (moved !== undefined && moved !== text) await rename(aside, file);
  else await rm(aside, { force: true });
}

/** Reports every 15 seconds that long work is still running, since when, and its time limit. */
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
