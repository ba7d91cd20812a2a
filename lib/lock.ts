/** A lock between drivers that run at the same time on one machine. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "./errors";
import { poll } from "./poll";
import { isAlive, type ProcessId, startTime } from "./processes";
import type { VerbContext } from "./verb";

const OWNER = "owner.json";
const LOCK_SECONDS = 60;

/**
 * Runs `work` while holding the lock. A lock whose owner has exited is taken over.
 *
 * @param path Directory used as the lock; its parent must exist.
 * @param holder Who holds it, for the message.
 * @throws UserError if another one holds it for more than a minute.
 */
export async function withLock<T>(
  path: string,
  context: Pick<VerbContext, "progress" | "signal">,
  work: () => Promise<T>,
  holder = `another driver that works on ${path}`,
): Promise<T> {
  const { progress, signal } = context;
  const missing = await poll({
    timeoutSeconds: LOCK_SECONDS,
    progress,
    signal,
    check: async () => (tryLock(path) ? undefined : holder),
  });
  if (missing !== undefined) {
    throw new UserError(`Gave up after ${LOCK_SECONDS} s of waiting for ${missing}: ${describeOwner(path)}.`);
  }
  try {
    return await work();
  } finally {
    removeLock(path);
  }
}

// The lock appears atomically with its owner in it: a directory can only be renamed onto an empty one.
function tryLock(path: string): boolean {
  const own = `${path}.${process.pid}`;
  mkdirSync(own, { recursive: true, mode: 0o700 });
  writeFileSync(join(own, OWNER), JSON.stringify({ pid: process.pid, startTime: startTime(process.pid) }));
  try {
    renameSync(own, path);
    return true;
  } catch {
    rmSync(own, { recursive: true, force: true });
    removeIfOwnerDied(path);
    return false;
  }
}

function removeIfOwnerDied(path: string): void {
  const owner = readOwner(path);
  if (owner === undefined || isAlive(owner)) return;
  const grave = `${path}.dead.${process.pid}`;
  try {
    // If several processes find a dead owner, only one succeeds in moving the lock away.
    renameSync(path, grave);
  } catch {
    return;
  }
  const buried = readOwner(grave);
  if (buried !== undefined && isAlive(buried)) {
    // Another process was faster and holds the lock already: move it back.
    renameSync(grave, path);
    return;
  }
  rmSync(grave, { recursive: true, force: true });
}

/** Moved away before it is emptied: another driver could take an empty directory. */
function removeLock(path: string): void {
  const grave = `${path}.done.${process.pid}`;
  renameSync(path, grave);
  rmSync(grave, { recursive: true, force: true });
}

function readOwner(path: string): ProcessId | undefined {
  try {
    const owner: unknown = JSON.parse(readFileSync(join(path, OWNER), "utf8"));
    if (typeof owner !== "object" || owner === null || !("pid" in owner) || !("startTime" in owner))
      return undefined;
    return { pid: Number(owner.pid), startTime: String(owner.startTime) };
  } catch {
    return undefined;
  }
}

function describeOwner(path: string): string {
  const owner = readOwner(path);
  return owner === undefined ? `remove ${path}` : `process ${owner.pid} holds it`;
}
