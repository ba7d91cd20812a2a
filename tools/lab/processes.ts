/** The lab's processes: started apart from the terminal, found again by the mark in their environment. */
import { spawn } from "node:child_process";
import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../../driver/errors";
import { poll } from "../../driver/poll";
import type { Progress } from "../../driver/progress";
import { LAB_MARK, type LabLayout } from "./layout";

const STOP_SECONDS = 15;

export interface Daemon {
  readonly name: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Undefined when it serves, else what is missing. */
  readonly check: () => Promise<string | undefined>;
  /** Bound on its start, seconds. */
  readonly timeoutSeconds: number;
}

/** Starts the daemon unless it serves already, and waits until it does. */
export async function ensureDaemon(
  daemon: Daemon,
  layout: LabLayout,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  if ((await daemon.check()) === undefined) return;
  progress.line(`starting ${daemon.name}`);
  const log = join(layout.log, `${daemon.name}.log`);
  const output = openSync(log, "a", 0o600);
  const [program = "", ...args] = daemon.command;
  const child = spawn(program, args, {
    env: { ...process.env, ...daemon.env },
    cwd: layout.root,
    detached: true,
    stdio: ["ignore", output, output],
  });
  const failed = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    // Code 0 is a daemon that went on in the background.
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

/** Ids of the processes of the lab, this one and its ancestors apart. */
export function labProcesses(layout: LabLayout): number[] {
  const own = ancestors();
  const mark = `${LAB_MARK}=${layout.root}`;
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => !own.has(pid) && environmentOf(pid).includes(mark) && !isZombie(pid));
}

/** Ends every process of the lab: SIGTERM, then SIGKILL; returns the ids of those that would not go. */
export async function endLabProcesses(
  layout: LabLayout,
  progress: Progress,
  signal: AbortSignal,
): Promise<number[]> {
  for (const name of ["SIGTERM", "SIGKILL"] as const) {
    for (const pid of labProcesses(layout)) kill(pid, name);
    const left = await poll({
      timeoutSeconds: STOP_SECONDS,
      progress,
      signal,
      check: async () => {
        const pids = labProcesses(layout);
        // What a dying process starts in its last moments has to go as well.
        if (name === "SIGKILL") for (const pid of pids) kill(pid, name);
        return pids.length === 0 ? undefined : `${pids.length} processes of the lab to end`;
      },
    });
    if (left === undefined) return [];
  }
  return labProcesses(layout);
}

/** The name of a process's program, for messages. */
export function commandOf(pid: number): string {
  return readOrEmpty(`/proc/${pid}/cmdline`).split("\0").join(" ").trim().slice(0, 200);
}

/** The last lines of a log, or a note that there is none. */
export function lastLines(path: string, count = 15): string {
  const text = readOrEmpty(path).trimEnd();
  return text === "" ? "(its log is empty)" : text.split("\n").slice(-count).join("\n");
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended between being found and being told to.
  }
}

function ancestors(): Set<number> {
  const found = new Set<number>();
  for (let pid = process.pid; pid > 1 && !found.has(pid); ) {
    found.add(pid);
    // The fourth field; the second, the name in brackets, may hold anything.
    pid = Number(readOrEmpty(`/proc/${pid}/stat`).split(") ").at(-1)?.split(" ")[1] ?? 1);
  }
  return found;
}

function isZombie(pid: number): boolean {
  return readOrEmpty(`/proc/${pid}/stat`).split(") ").at(-1)?.startsWith("Z") ?? true;
}

function environmentOf(pid: number): string[] {
  return readOrEmpty(`/proc/${pid}/environ`).split("\0");
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
