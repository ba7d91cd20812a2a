import { readdirSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { isAlive } from "../../lib/run";
import { OperationFailed } from "./problem";

/** What the CLI writes into a lock of a file backend: pkg/backend/diy/lock.go of github.com/pulumi/pulumi. */
interface Lock {
  readonly file: string;
  readonly pid: number;
  readonly host: string;
  readonly user: string;
  readonly since: string;
}

function readLock(file: string): Lock | undefined {
  try {
    const content: unknown = JSON.parse(readFileSync(file, "utf8"));
    if (typeof content !== "object" || content === null) return undefined;
    const { pid, hostname: host, username, timestamp } = content as Record<string, unknown>;
    if (typeof pid !== "number" || typeof host !== "string") return undefined;
    return { file, pid, host, user: String(username), since: String(timestamp) };
  } catch {
    // Gone meanwhile, or being written.
    return undefined;
  }
}

function locksOf(directory: string, project: string, stack: string): Lock[] {
  const locks = join(directory, ".pulumi", "locks", "organization", project, stack);
  try {
    return readdirSync(locks).flatMap((name) => readLock(join(locks, name)) ?? []);
  } catch {
    return [];
  }
}

/** A lock whose process is dead, or whose process id now belongs to another program. */
function isStale(lock: Lock): boolean {
  if (lock.host !== hostname()) return false;
  if (!isAlive(lock.pid)) return true;
  try {
    return !readFileSync(`/proc/${lock.pid}/cmdline`, "utf8").includes("pulumi");
  } catch {
    return false;
  }
}

/**
 * Removes the locks that killed processes left on a stack of a file backend, as `pulumi cancel` does.
 * @throws OperationFailed when a live process holds the stack.
 */
export async function clearStaleLocks(
  directory: string,
  project: string,
  stack: string,
  say: (line: string) => void,
): Promise<void> {
  for (const lock of locksOf(directory, project, stack)) {
    const who = `process ${lock.pid} of ${lock.user} on ${lock.host}, since ${lock.since}`;
    if (!isStale(lock)) {
      throw new OperationFailed(
        `Stack ${stack} is being changed by ${who}. Wait until it ends. If it is dead: npm run stack -- cancel --stack ${stack}`,
      );
    }
    say(`Removing the lock of ${who}: that process is dead`);
    await rm(lock.file, { force: true });
  }
}
