/**
 * What killed operations have left of a stack in a file backend: their locks, and attributes of files that
 * were being written. Locks of running operations are reported by Pulumi.
 */
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { commandOfProcess, isEnding } from "../../lib/processes";
import { isAlive } from "../../lib/run";
import type { Progress } from "../../toolchain/index";

/** Content of a lock file: pkg/backend/diy/lock.go of github.com/pulumi/pulumi. */
interface Lock {
  readonly pid: number;
  readonly hostname: string;
  readonly username: string;
  readonly timestamp: string;
}

function lockIn(file: string): Lock | undefined {
  try {
    const lock: Lock = JSON.parse(readFileSync(file, "utf8"));
    return typeof lock.pid === "number" && lock.hostname === hostname() ? lock : undefined;
  } catch {
    // Deleted meanwhile, or being written.
    return undefined;
  }
}

/**
 * Whether the process has exited or is about to, or its id has been reused. A process that is there but
 * cannot be seen, such as another user's, keeps its lock.
 */
function isStale({ pid }: Lock): boolean {
  if (!isAlive(pid)) return true;
  const command = commandOfProcess(pid);
  return command === "" ? isEnding(pid) : !command.includes("pulumi");
}

/**
 * Beside each file the CLI keeps its attributes, which it writes in place: those of one that was killed
 * meanwhile are empty, and no operation can read the file any more ("failed to load checkpoint: EOF").
 * Without any it can. https://github.com/google/go-cloud/blob/v0.46.0/blob/fileblob/attrs.go
 */
const ATTRIBUTES = ".attrs";

/** Removes what killed operations have left. @param directory Of the backend. */
export function removeLeftovers(directory: string, project: string, stack: string, say: Progress): void {
  const home = join(directory, ".pulumi");
  const locks = join(home, "locks", "organization", project, stack);
  removeStaleLocks(locks, say);
  for (const one of [home, join(home, "stacks", project), locks]) removeUnreadableAttributes(one);
  const ofNothing = attributesIn(locks).filter((path) => !existsSync(path.slice(0, -ATTRIBUTES.length)));
  for (const path of ofNothing) rmSync(path, { force: true });
}

/** Like `pulumi cancel`, those of dead processes alone. */
function removeStaleLocks(locks: string, say: Progress): void {
  for (const path of filesOf(locks)) {
    const lock = lockIn(path);
    if (lock === undefined || !isStale(lock)) continue;
    say(
      `Removing the lock of process ${lock.pid} of ${lock.username}, since ${lock.timestamp}: that process is dead`,
    );
    rmSync(path, { force: true });
  }
}

/** One that is just being written is read as none. */
function removeUnreadableAttributes(directory: string): void {
  for (const path of attributesIn(directory)) {
    try {
      JSON.parse(readFileSync(path, "utf8"));
    } catch {
      rmSync(path, { force: true });
    }
  }
}

function attributesIn(directory: string): string[] {
  return filesOf(directory).filter((path) => path.endsWith(ATTRIBUTES));
}

/** Paths of the files in a directory; none if there is no such directory: it has never been locked. */
function filesOf(directory: string): string[] {
  try {
    return readdirSync(directory).map((name) => join(directory, name));
  } catch {
    return [];
  }
}
