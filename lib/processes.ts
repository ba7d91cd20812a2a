/**
 * Processes of this machine: owner, start time, and which one holds a port. Linux, and macOS by `ps` and
 * `lsof`.
 *
 * `runtime/processes.py` searches on nodes, which have no Node.js. This machine may have no Python: ports are
 * looked at before one is installed, and a cluster can be removed after it is gone.
 */

import { execFileSync } from "node:child_process";
import { basename } from "node:path";
import { codeOf } from "./errors";
import {
  commandLineOf,
  environmentOf,
  listeningSockets,
  openFilesOf,
  parentOf,
  processIds,
  statOf,
  withDescendants,
} from "./procfs";

const isLinux = process.platform === "linux";

/** Identifies a process even if its id is reused. */
export interface ProcessId {
  readonly pid: number;
  /** Start time in the system's format; only compared. */
  readonly startTime: string;
}

export interface FoundProcess {
  readonly pid: number;
  readonly command: string;
}

/** Start time of a process, or undefined if there is none (or it is a zombie, which holds no resources). */
export function startTime(pid: number): string | undefined {
  if (!isLinux) return ps(["-o", "lstart=", "-p", String(pid)])[0]?.trim() || undefined;
  const fields = statOf(pid);
  return fields === undefined || fields[0] === "Z" ? undefined : fields[19];
}

/** Whether the recorded process still runs. */
export function isAlive(id: ProcessId): boolean {
  return startTime(id.pid) === id.startTime;
}

/**
 * Processes started for a directory: those with `DYNAMO_SKY_NODE_DIR` at or below it in their environment,
 * which every program of a node inherits, and on Linux their children: nginx overwrites its environment.
 * Never this process.
 */
export function processesOf(directory: string): FoundProcess[] {
  const isOurs = (environment: readonly string[]): boolean =>
    environment.some((entry) => {
      const value = /^DYNAMO_SKY_NODE_DIR=(.*)$/s.exec(entry)?.[1];
      return value === directory || value?.startsWith(`${directory}/`) === true;
    });
  const found = isLinux ? linuxProcesses(isOurs) : otherProcesses(isOurs);
  return found.filter(({ pid }) => pid !== process.pid);
}

function linuxProcesses(isOurs: (environment: readonly string[]) => boolean): FoundProcess[] {
  const ids = processIds();
  const found = ids.filter((pid) => isOurs(environmentOf(pid)));
  // Most searches find nothing, and need no parents.
  const all = found.length === 0 ? [] : withDescendants(found, ids);
  return all.map((pid) => ({ pid, command: commandOf(pid) }));
}

function otherProcesses(isOurs: (environment: readonly string[]) => boolean): FoundProcess[] {
  return ps(["axwwE", "-o", "pid=,command="]).flatMap((line) => {
    const [pid, ...words] = line.trim().split(" ");
    return isOurs(words) ? [{ pid: Number(pid), command: words.slice(0, 3).join(" ") }] : [];
  });
}

/**
 * Description of a process for messages: its program's name in the plan, else the first words of its command.
 */
function commandOf(pid: number): string {
  const program = programOf(pid);
  if (program !== undefined) return program;
  const [command = "", ...args] = commandLineOf(pid);
  return [basename(command), ...args.slice(0, 3)].join(" ").trim();
}

/** Name of the plan's program that a process belongs to; undefined if none. */
export function programOf(pid: number): string | undefined {
  const name = "DYNAMO_SKY_PROGRAM=";
  const entry = environmentOf(pid).find((entry) => entry.startsWith(name));
  return entry === undefined ? undefined : basename(entry.slice(name.length));
}

/** Command and arguments of a process; empty if it has exited, is a zombie, or cannot be seen. */
export function commandOfProcess(pid: number): string {
  if (!isLinux) return ps(["-ww", "-o", "command=", "-p", String(pid)])[0]?.trim() ?? "";
  return commandLineOf(pid).join(" ").trim();
}

/** Id of the process that started it; undefined if there is none that can be seen. */
export function parentProcess(pid: number): number | undefined {
  const parent = isLinux ? parentOf(pid) : Number(ps(["-o", "ppid=", "-p", String(pid)])[0]);
  return parent > 1 ? parent : undefined;
}

/**
 * Whether nothing runs in it any more: a zombie, or one that is being ended, whose memory is given back
 * before its files, its parent's notice and its id. False if it cannot be seen.
 * https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html (vsize)
 */
export function isEnding(pid: number): boolean {
  return isLinux
    ? statOf(pid)?.[20] === "0"
    : /[ZE]/.test(ps(["-o", "stat=", "-p", String(pid)])[0]?.trim() ?? "");
}

/** Sends a signal, SIGKILL by default; fine if the process is gone. */
export function kill(pid: number, signal: NodeJS.Signals = "SIGKILL"): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (codeOf(error) !== "ESRCH") throw error;
  }
}

/**
 * The process that listens on a TCP port, on this IPv4 address or on all; undefined if this user cannot see
 * it.
 */
export function portHolder(address: string, port: number): FoundProcess | undefined {
  if (!isLinux) return lsof(port);
  // `::` accepts IPv4 connections too.
  const addresses = [kernelAddress(address), "0".repeat(8), "0".repeat(32)];
  const sockets = new Set(
    listeningSockets()
      .filter((socket) => socket.port === port && addresses.includes(socket.address))
      .map(({ socket }) => socket),
  );
  if (sockets.size === 0) return undefined;
  for (const pid of processIds()) {
    if (openFilesOf(pid).some((file) => sockets.has(file))) return { pid, command: commandOf(pid) };
  }
  return undefined;
}

/** An IPv4 address in the kernel's notation: one number in the machine's byte order, here little-endian. */
function kernelAddress(address: string): string {
  const bytes = address.split(".").map((byte) => Number(byte).toString(16).padStart(2, "0").toUpperCase());
  return bytes.reverse().join("");
}

function ps(args: readonly string[]): string[] {
  return run("ps", args).split("\n").filter(Boolean);
}

function lsof(port: number): FoundProcess | undefined {
  const lines = run("lsof", ["-nP", `-iTCP:${port}`, "-sTCP:LISTEN", "-Fpc"]).split("\n");
  const pid = lines.find((line) => line.startsWith("p"))?.slice(1);
  const name = lines.find((line) => line.startsWith("c"))?.slice(1);
  return pid === undefined ? undefined : { pid: Number(pid), command: name ?? "unknown" };
}

function run(program: string, args: readonly string[]): string {
  try {
    return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  } catch {
    return ""; // both exit with 1 when nothing matches
  }
}
