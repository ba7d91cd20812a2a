/** `lab down`: removes everything that `up` created, whatever state it is in. */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../../lib/errors";
import { poll } from "../../lib/poll";
import type { Progress } from "../../lib/progress";
import { HOSTS_FILE, LAB, LAB_USER, PROFILE_FILE, SLURM_ENVIRONMENT } from "../../toolchain/labLayout";
import { withoutHosts } from "./files";
import { commandOf, endProcesses, labProcesses } from "./processes";
import { findProgram, installedRecord, removeUser } from "./system";

const JOBS_END_SECONDS = 40;

/** @throws UserError if a process of the lab cannot be killed. */
export async function labDown(progress: Progress, signal: AbortSignal): Promise<void> {
  await endJobs(progress, signal);
  const running = await endProcesses(() => labProcesses(LAB.root), progress, signal);
  if (running.length > 0) {
    const list = running.map((pid) => `  ${pid} ${commandOf(pid)}`).join("\n");
    throw new UserError(`These processes of the lab would not end:\n${list}\nEnd them, then run it again.`);
  }
  const packages = installedRecord(LAB.root);
  restoreSystemFiles();
  removeUser(LAB_USER);
  for (const path of [...skyPilotFiles([LAB.home, LAB.remoteHome]), LAB.root])
    rmSync(path, { recursive: true, force: true });
  progress.line(
    `removed ${LAB.root}, ${PROFILE_FILE}, the user ${LAB_USER} and the lab's lines of ${HOSTS_FILE}`,
  );
  if (packages.length > 0) {
    progress.line(
      `packages that the lab installed stay; to remove them: apt-get remove ${packages.join(" ")}`,
    );
  }
}

/** Cancels Slurm's jobs, so that they clean up. Remaining ones are killed afterwards. */
async function endJobs(progress: Progress, signal: AbortSignal): Promise<void> {
  if (slurm("scontrol", ["ping"]) === undefined) return;
  slurm("scancel", ["--user=root"]);
  await poll({
    timeoutSeconds: JOBS_END_SECONDS,
    progress,
    signal,
    check: async () => (slurm("squeue", ["-h"]) ? "Slurm's jobs to end" : undefined),
  });
}

/** Output of one of Slurm's commands; undefined on failure. */
function slurm(name: string, args: readonly string[]): string | undefined {
  const program = findProgram(name);
  if (program === undefined || !existsSync(LAB.etc)) return undefined;
  try {
    const env = { ...process.env, ...SLURM_ENVIRONMENT };
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

/**
 * Files that SkyPilot puts in /tmp regardless of TMPDIR, by the hash of its user and the names of its runs:
 * ssh sockets, node programs, and scripts.
 */
export function skyPilotFiles(homes: readonly string[]): string[] {
  const entries = readdirSync("/tmp");
  return homes.flatMap((home) => {
    const hashFile = join(home, ".sky", "user_hash");
    if (!existsSync(hashFile)) return [];
    const hash = readFileSync(hashFile, "utf8").trim();
    const logs = join(home, "sky_logs");
    const scripts = (existsSync(logs) ? readdirSync(logs) : []).map((run) => `sky_setup_${run}`);
    const isOurs = (name: string) =>
      name === `sky_ssh_${hash}` || name.endsWith(`-${hash}`) || scripts.includes(name);
    return entries.filter(isOurs).map((name) => join("/tmp", name));
  });
}
