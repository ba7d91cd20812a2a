/**
 * Locks left by killed operations on a stack of a file backend. Locks of running operations are reported by
 * Pulumi.
 */
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
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

/** Whether the process has exited, or its id has been reused. */
function isStale({ pid }: Lock): boolean {
  if (!isAlive(pid)) return true;
  try {
    return !readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("pulumi");
  } catch {
    return false;
  }
}

const ATTRIBUTES = ".attrs";

/** Removes stale locks, like `pulumi cancel`. @param directory Of the backend. */
export function removeStaleLocks(directory: string, project: string, stack: string, say: Progress): void {
  const locks = join(directory, ".pulumi", "locks", "organization", project, stack);
  let names: string[] = [];
  try {
    names = readdirSync(locks);
  } catch {
    // It has never been locked.
  }
  for (const name of names) {
    const lock = lockIn(join(locks, name));
    if (lock === undefined || !isStale(lock)) continue;
    say(
      `Removing the lock of process ${lock.pid} of ${lock.username}, since ${lock.timestamp}: that process is dead`,
    );
    rmSync(join(locks, name), { force: true });
  }
  // Beside each file the CLI keeps its attributes.
  const ofNothing = names.filter(
    (name) => name.endsWith(ATTRIBUTES) && !existsSync(join(locks, name.slice(0, -ATTRIBUTES.length))),
  );
  for (const name of ofNothing) rmSync(join(locks, name), { force: true });
}
