/**
 * Processes of this machine: owner, start time, and which one holds a port. Linux, and macOS by `ps` and
 * `lsof`.
 */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename } from "node:path";

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
  const found = new Set(ids.filter((pid) => isOurs(readProc(`${pid}/environ`)?.split("\0") ?? [])));
  if (found.size > 0) addDescendants(found, ids);
  return [...found].map((pid) => ({ pid, command: commandOf(pid) }));
}

function addDescendants(found: Set<number>, ids: readonly number[]): void {
  const others = new Map(ids.filter((pid) => !found.has(pid)).map((pid) => [pid, statOf(pid)]));
  for (let before = -1; before < found.size; ) {
    before = found.size;
    for (const [pid, stat] of others) {
      // A zombie holds no resources.
      if (stat !== undefined && stat[0] !== "Z" && found.has(Number(stat[1]))) found.add(pid);
    }
  }
}

/**
 * The fields of `/proc/<pid>/stat` from the third on: state, parent, … The second is the command, which may
 * hold any character.
 */
function statOf(pid: number): string[] | undefined {
  const stat = readProc(`${pid}/stat`);
  return stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
}

function otherProcesses(isOurs: (environment: readonly string[]) => boolean): FoundProcess[] {
  return ps(["axwwE", "-o", "pid=,command="]).flatMap((line) => {
    const [pid, ...words] = line.trim().split(" ");
    return isOurs(words) ? [{ pid: Number(pid), command: words.slice(0, 3).join(" ") }] : [];
  });
}

function processIds(): number[] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number);
}

/**
 * Description of a process for messages: its program's name in the plan, else the first words of its command.
 */
function commandOf(pid: number): string {
  const program = /(?:^|\0)DYNAMO_SKY_PROGRAM=([^\0]*)/.exec(readProc(`${pid}/environ`) ?? "")?.[1];
  if (program !== undefined) return basename(program);
  const [command = "", ...args] = (readProc(`${pid}/cmdline`) ?? "").split("\0");
  return [basename(command), ...args.slice(0, 3)].join(" ").trim();
}

/** Sends a signal, SIGKILL by default; fine if the process is gone. */
export function kill(pid: number, signal: NodeJS.Signals = "SIGKILL"): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

/**
 * The process that listens on a TCP port, on this IPv4 address or on all; undefined if this user cannot see
 * it.
 */
export function portHolder(address: string, port: number): FoundProcess | undefined {
  if (!isLinux) return lsof(port);
  const inodes = new Set([
    ...listeningInodes("net/tcp", [kernelAddress(address), "00000000"], port),
    // `::` accepts IPv4 connections too.
    ...listeningInodes("net/tcp6", ["0".repeat(32)], port),
  ]);
  if (inodes.size === 0) return undefined;
  for (const pid of processIds()) {
    if (openSockets(pid).some((inode) => inodes.has(inode))) return { pid, command: commandOf(pid) };
  }
  return undefined;
}

const LISTEN = "0A";

/** An IPv4 address in the kernel's notation: one number in the machine's byte order, here little-endian. */
function kernelAddress(address: string): string {
  const bytes = address.split(".").map((byte) => Number(byte).toString(16).padStart(2, "0").toUpperCase());
  return bytes.reverse().join("");
}

function listeningInodes(table: string, addresses: readonly string[], port: number): string[] {
  const lines = (readProc(table) ?? "").split("\n").slice(1);
  return lines.flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    const [, local = "", , state] = fields;
    const [localAddress = "", localPort = ""] = local.split(":");
    const isMeant = addresses.includes(localAddress) && Number.parseInt(localPort, 16) === port;
    return state === LISTEN && isMeant ? (fields[9] ?? []) : [];
  });
}

function openSockets(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        return [];
      }
    });
  } catch {
    return []; // exited meanwhile, or another user's
  }
}

function readProc(path: string): string | undefined {
  try {
    return readFileSync(`/proc/${path}`, "utf8");
  } catch {
    return undefined; // exited meanwhile, or another user's
  }
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
