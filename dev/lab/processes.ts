/** The lab's processes: started detached, and found by the mark in their environment. */
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../../lib/errors";
import { poll } from "../../lib/poll";
import { kill } from "../../lib/processes";
import {
  commandLineOf,
  directoryOf,
  environmentOf,
  isGone,
  openFilesOf,
  parentOf,
  processIds,
  withDescendants,
} from "../../lib/procfs";
import type { Progress } from "../../lib/progress";
import { LAB_MARK } from "../../toolchain/labLayout";
import type { Lab } from "../../toolchain/labs";

/** Some of SkyPilot's processes ignore SIGTERM; none needs long to stop. */
const STOP_SECONDS = 5;

export interface Daemon {
  readonly name: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Undefined if it serves, otherwise what is missing. */
  readonly check: () => Promise<string | undefined>;
  /** Time limit for its start, seconds. */
  readonly timeoutSeconds: number;
  /** Names of daemons, earlier in the list, that must serve before it is started. Default: none. */
  readonly after?: readonly string[];
}

/** Starts all daemons that do not serve yet, independent ones in parallel, and waits until all serve. */
export async function ensureDaemons(
  lab: Pick<Lab, "root" | "log">,
  daemons: readonly Daemon[],
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const started = new Map<string, Promise<void>>();
  for (const daemon of daemons) {
    const before = Promise.all((daemon.after ?? []).map((name) => started.get(name)));
    started.set(
      daemon.name,
      before.then(() => ensureDaemon(lab, daemon, progress, signal)),
    );
  }
  await Promise.all(started.values());
}

/** Starts the daemon unless it serves already, and waits until it does. */
async function ensureDaemon(
  lab: Pick<Lab, "root" | "log">,
  daemon: Daemon,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  if ((await daemon.check()) === undefined) return;
  progress.line(`starting ${daemon.name}`);
  const log = join(lab.log, `${daemon.name}.log`);
  const output = openSync(log, "a", 0o600);
  const [program = "", ...args] = daemon.command;
  const child = spawn(program, args, {
    env: { ...forDaemons(process.env), ...daemon.env },
    cwd: lab.root,
    detached: true,
    stdio: ["ignore", output, output],
  });
  const failed = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    // Exit code 0 means that the daemon continues in the background.
    child.once("exit", (code) => code !== 0 && resolve(`it ended with code ${code}`));
  });
  closeSync(output);
  child.unref();
  let failure: string | undefined;
  failed.then((reason) => {
    failure = reason;
  });
  const missing = await poll({
    timeoutSeconds: daemon.timeoutSeconds,
    progress,
    signal,
    check: async () => (failure === undefined ? daemon.check() : undefined),
  });
  const reason = failure ?? missing;
  if (reason === undefined) return;
  throw new UserError(
    `${daemon.name} of the lab did not start: ${reason}.\n${lastLines(log)}\nWhole log: ${log}`,
  );
}

/**
 * The environment without settings of the lab's caller: those of Python, which would slow SkyPilot down or
 * change it, and of another SkyPilot or Slurm.
 */
function forDaemons(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/^(PYTHON|SKYPILOT_|SLURM_)/.test(name)));
}

/**
 * Ids of the lab's processes, except this one and its ancestors: those with the mark in their environment,
 * those with one of its files open or in their command line (some daemons overwrite their environment with a
 * title), and their descendants.
 */
export function labProcesses(root: string): number[] {
  const own = ancestors();
  const all = processIds().filter((pid) => !own.has(pid) && !isGone(pid));
  return withDescendants(
    all.filter((pid) => belongsTo(pid, root)),
    all,
  );
}

function belongsTo(pid: number, root: string): boolean {
  if (environmentOf(pid).includes(`${LAB_MARK}=${root}`)) return true;
  const names = [...commandLineOf(pid), directoryOf(pid), ...openFilesOf(pid)];
  return names.some((name) => name.includes(`${root}/`));
}

/**
 * Stops all processes of a lab: SIGTERM, then SIGKILL; returns the ids of the remaining ones.
 *
 * @param find Their ids.
 */
export async function endProcesses(
  find: () => number[],
  progress: Progress,
  signal: AbortSignal,
): Promise<number[]> {
  for (const name of ["SIGTERM", "SIGKILL"] as const) {
    for (const pid of find()) kill(pid, name);
    const running = await poll({
      timeoutSeconds: STOP_SECONDS,
      progress,
      signal,
      check: async () => {
        const pids = find();
        // Also kills children started meanwhile.
        if (name === "SIGKILL") for (const pid of pids) kill(pid, name);
        return pids.length === 0 ? undefined : `${pids.length} processes of the lab to end`;
      },
    });
    if (running === undefined) return [];
  }
  return find();
}

/** The name of a process's program, for messages. */
export function commandOf(pid: number): string {
  return commandLineOf(pid).join(" ").trim().slice(0, 200);
}

/** The last lines of a log, or a note that there is none. */
function lastLines(path: string, count = 15): string {
  const text = readOrEmpty(path).trimEnd();
  return text === "" ? "(its log is empty)" : text.split("\n").slice(-count).join("\n");
}

function ancestors(): Set<number> {
  const found = new Set<number>();
  for (let pid = process.pid; pid > 1 && !found.has(pid); ) {
    found.add(pid);
    pid = parentOf(pid);
  }
  return found;
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
