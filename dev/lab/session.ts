/** Exclusive use of the lab, which restores its previous state afterwards. */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { UserError } from "../../lib/errors";
import type { Progress } from "../../lib/progress";
import { clusterRecords, jsonIn } from "../../sky/records";
import { withLock } from "../../toolchain/install";
import { LAB, LAB_BORROWED, LAB_LOCK, SKY_ENVIRONMENT } from "../../toolchain/labLayout";
import { labDown } from "./down";
import { requireLabMachine } from "./system";
import { findLabTools, installedSky } from "./tools";
import { labUp } from "./up";

/** A whole test run takes ten minutes on two cores. */
const LOCK_SECONDS = 1800;
const STATUS_MS = 120_000;

/**
 * Runs work while no other command changes the lab.
 *
 * @param purpose Shown to others that wait for it: `testing on the lab`.
 * @throws Error if another process keeps the lab for more than half an hour.
 */
export function aloneOnLab<T>(purpose: string, progress: Progress, work: () => Promise<T>): Promise<T> {
  return withLock(LAB_LOCK, { purpose, waitSeconds: LOCK_SECONDS, onProgress: progress.line }, work);
}

/**
 * Starts the lab if it is not running, and stops it afterwards (also on failure) if this call started it.
 *
 * @throws UserError if the lab cannot be started, or has a running cluster.
 */
export function borrowLab<T>(purpose: string, progress: Progress, work: () => Promise<T>): Promise<T> {
  const { signal } = new AbortController();
  return aloneOnLab(purpose, progress, async () => {
    // A lab left by a killed run is treated as started by this call.
    const isOwn = !existsSync(LAB.root) || existsSync(LAB_BORROWED);
    if (isOwn && existsSync(LAB.root)) await labDown(progress, signal);
    try {
      if (isOwn) markBorrowed(purpose);
      await labUp(() => findLabTools(progress), progress, signal);
      if (!isOwn) await requireNoClusters();
      return await work();
    } finally {
      if (isOwn) await labDown(progress, signal);
    }
  });
}

function markBorrowed(purpose: string): void {
  requireLabMachine();
  mkdirSync(LAB.root, { recursive: true, mode: 0o755 });
  writeFileSync(LAB_BORROWED, purpose);
}

/** The lab was started by the user, so it keeps running. */
export function keepLab(): void {
  rmSync(LAB_BORROWED, { force: true });
}

async function requireNoClusters(): Promise<void> {
  const { stdout } = await promisify(execFile)(installedSky(), ["status", "-o", "json"], {
    env: { ...process.env, ...SKY_ENVIRONMENT },
    timeout: STATUS_MS,
  });
  const names = clusterRecords.parse(jsonIn(stdout)).map(({ name }) => name);
  if (names.length === 0) return;
  throw new UserError(
    `The lab is in use: ${names.join(", ")}. Destroy the stacks that these clusters belong to, or take them down with ` +
      "'npm run lab -- sky down -a', then run this again.",
  );
}
