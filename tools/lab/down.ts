/** `lab down`: everything that `up` made goes, whatever state it is in. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { UserError } from "../../driver/errors";
import { poll } from "../../driver/poll";
import type { Progress } from "../../driver/progress";
import { withoutHosts } from "./files";
import { HOSTS_FILE, type LabLayout, PROFILE_FILE, slurmEnvironment } from "./layout";
import { commandOf, endLabProcesses } from "./processes";
import { findProgram } from "./system";
import { installedRecord } from "./up";

const JOBS_END_SECONDS = 40;

/** @throws UserError when a process of the lab would not end. */
export async function labDown(layout: LabLayout, progress: Progress, signal: AbortSignal): Promise<void> {
  await endJobs(layout, progress, signal);
  const left = await endLabProcesses(layout, progress, signal);
  if (left.length > 0) {
    const list = left.map((pid) => `  ${pid} ${commandOf(pid)}`).join("\n");
    throw new UserError(`These processes of the lab would not end:\n${list}\nEnd them, then run it again.`);
  }
  const packages = readPackages(layout);
  restoreSystemFiles();
  for (const path of [layout.root, layout.munge]) rmSync(path, { recursive: true, force: true });
  progress.line(
    `removed ${layout.root}, ${layout.munge}, ${PROFILE_FILE} and the lab's lines of ${HOSTS_FILE}`,
  );
  if (packages.length > 0) {
    progress.line(
      `packages that the lab installed stay; to remove them: apt-get remove ${packages.join(" ")}`,
    );
  }
}

/** Asks Slurm to end its jobs, so that they clean up after themselves. What does not is killed afterwards. */
async function endJobs(layout: LabLayout, progress: Progress, signal: AbortSignal): Promise<void> {
  if (slurm(layout, "scontrol", ["ping"]) === undefined) return;
  slurm(layout, "scancel", ["--user=root"]);
  await poll({
    timeoutSeconds: JOBS_END_SECONDS,
    progress,
    signal,
    check: async () => (slurm(layout, "squeue", ["-h"]) ? "Slurm's jobs to end" : undefined),
  });
}

/** Output of one of Slurm's commands; undefined when it fails. */
function slurm(layout: LabLayout, name: string, args: readonly string[]): string | undefined {
  const program = findProgram(name);
  if (program === undefined || !existsSync(layout.etc)) return undefined;
  try {
    const env = { ...process.env, ...slurmEnvironment(layout) };
    return execFileSync(program, args, {
      env,
      encoding: "utf8",
      timeout: 10_000,
      stdio: ["ignore", "pipe", "ignore"],
    });
  } catch {
    return undefined;
  }
}

function restoreSystemFiles(): void {
  const hosts = readFileSync(HOSTS_FILE, "utf8");
  const restored = withoutHosts(hosts);
  if (restored !== hosts) writeFileSync(HOSTS_FILE, restored);
  rmSync(PROFILE_FILE, { force: true });
}

function readPackages(layout: LabLayout): string[] {
  const record = installedRecord(layout);
  return existsSync(record) ? readFileSync(record, "utf8").split("\n").filter(Boolean) : [];
}
