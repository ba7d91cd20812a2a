/** Locks that killed operations left on a stack of a file backend. Those of operations that go on are Pulumi's to tell. */
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { isAlive } from "../../lib/run";
import type { Progress } from "../../toolchain/index";

/** What the CLI writes into a lock: pkg/backend/diy/lock.go of github.com/pulumi/pulumi. */
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
    // Gone meanwhile, or being written.
    return undefined;
  }
}

/** Whether the process is dead, or its id belongs to another program now. */
function isStale({ pid }: Lock): boolean {
  if (!isAlive(pid)) return true;
  try {
    return !readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("pulumi");
  } catch {
    return false;
  }
}

/** Removes them, as `pulumi cancel` does. @param directory Of the backend. */
export function removeStaleLocks(directory: string, project: string, stack: string, say: Progress): void {
  const locks = join(directory, ".pulumi", "locks", "organization", project, stack);
  let names: string[] = [];
  try {
    names = readdirSync(locks);
  } catch {
    // Nobody has ever locked it.
  }
  for (const name of names) {
    const lock = lockIn(join(locks, name));
    if (lock === undefined || !isStale(lock)) continue;
    say(
      `Removing the lock of process ${lock.pid} of ${lock.username}, since ${lock.timestamp}: that process is dead`,
    );
    rmSync(join(locks, name), { force: true });
  }
}
