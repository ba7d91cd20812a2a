/** Exclusive use of the lab, which restores its previous state afterwards. */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { UserError } from "../../lib/errors";
import type { Progress } from "../../lib/progress";
import { clusterRecords, jsonIn } from "../../sky/records";
import { withLock } from "../../toolchain/install";
import { type Lab, skyEnvironmentOf } from "../../toolchain/labs";
import type { LabKind } from "./kinds";
import { requireLabMachine } from "./system";
import { installedSky } from "./tools";

/** A whole test run takes ten minutes on two cores. */
const LOCK_SECONDS = 1800;
const STATUS_MS = 120_000;

/**
 * Runs work while no other command changes the lab.
 *
 * @param purpose Shown to others that wait for it: `testing on the lab`.
 * @throws Error if another process keeps the lab for more than half an hour.
 */
export function aloneOnLab<T>(
  { lock }: Lab,
  purpose: string,
  progress: Progress,
  work: () => Promise<T>,
): Promise<T> {
  return withLock(lock, { purpose, waitSeconds: LOCK_SECONDS, onProgress: progress.line }, work);
}

/**
 * Starts the lab if it is not running, and stops it afterwards (also on failure) if this call started it.
 *
 * @throws UserError if the lab cannot be started, or has a running cluster.
 */
export function borrowLab<T>(
  kind: LabKind,
  purpose: string,
  progress: Progress,
  work: () => Promise<T>,
): Promise<T> {
  const { signal } = new AbortController();
  const { lab } = kind;
  return aloneOnLab(lab, purpose, progress, async () => {
    // A lab left by a killed run is treated as started by this call.
    const isOwn = !existsSync(lab.root) || existsSync(lab.borrowed);
    if (isOwn && existsSync(lab.root)) await kind.down(progress, signal);
    try {
      if (isOwn) markBorrowed(lab, purpose);
      await kind.up(progress, signal);
      if (!isOwn) await requireNoClusters(lab);
      return await work();
    } finally {
      if (isOwn) await kind.down(progress, signal);
    }
  });
}

function markBorrowed({ root, borrowed }: Lab, purpose: string): void {
  requireLabMachine();
  mkdirSync(root, { recursive: true, mode: 0o755 });
  writeFileSync(borrowed, purpose);
}

/** The lab was started by the user, so it keeps running. */
export function keepLab({ borrowed }: Lab): void {
  rmSync(borrowed, { force: true });
}

async function requireNoClusters(lab: Lab): Promise<void> {
  const { stdout } = await promisify(execFile)(installedSky(lab), ["status", "-o", "json"], {
    env: { ...process.env, ...skyEnvironmentOf(lab) },
    timeout: STATUS_MS,
  });
  const names = clusterRecords.parse(jsonIn(stdout)).map(({ name }) => name);
  if (names.length === 0) return;
  throw new UserError(
    `The lab is in use: ${names.join(", ")}. Destroy the stacks that these clusters belong to, or take them down with ` +
      `'npm run lab -- sky${lab.kind === "kubernetes" ? " --kubernetes" : ""} down -a', then run this again.`,
  );
}
