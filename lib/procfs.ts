/** What Linux's `/proc` says of processes: https://man7.org/linux/man-pages/man5/proc.5.html */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** Ids of all processes. */
export function processIds(): number[] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number);
}

/** A file below `/proc`; empty if the process has exited, or is another user's. */
export function readProc(path: string, encoding: BufferEncoding = "utf8"): string {
  try {
    return readFileSync(`/proc/${path}`, encoding);
  } catch {
    return "";
  }
}

/** Environment of a process, as `NAME=value`. */
export function environmentOf(pid: number): string[] {
  return readProc(`${pid}/environ`).split("\0");
}

/** Program and arguments of a process; `[""]` if it has exited. */
export function commandLineOf(pid: number): string[] {
  return readProc(`${pid}/cmdline`).split("\0");
}

/** Working directory of a process; empty if unknown. */
export function directoryOf(pid: number): string {
  return linkOf(`/proc/${pid}/cwd`);
}

/** Names of a process's open files; sockets are `socket:[<inode>]`. */
export function openFilesOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((fd) => linkOf(`/proc/${pid}/fd/${fd}`));
  } catch {
    return []; // exited meanwhile, or another user's
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

/**
 * The fields of `/proc/<pid>/stat` from the third on: state, parent, … The second is the command, which may
 * hold any character. Undefined if the process has exited.
 */
export function statOf(pid: number): string[] | undefined {
  const stat = readProc(`${pid}/stat`);
  return stat === "" ? undefined : stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

/** Whether the process has exited, though its parent may not have noticed: a zombie holds no resources. */
export function isGone(pid: number): boolean {
  return (statOf(pid)?.[0] ?? "Z") === "Z";
}

/** Id of the process that started it; 1 if it has exited. */
export function parentOf(pid: number): number {
  return Number(statOf(pid)?.[1] ?? 1);
}

/** Some processes, and all their descendants that run. */
export function withDescendants(some: readonly number[], all: readonly number[]): number[] {
  const found = new Set(some);
  const parents = new Map(all.filter((pid) => !isGone(pid)).map((pid) => [pid, parentOf(pid)]));
  for (let before = -1; before < found.size; ) {
    before = found.size;
    for (const [pid, parent] of parents) if (found.has(parent)) found.add(pid);
  }
  return [...found];
}

/** A TCP socket that listens. */
export interface ListeningSocket {
  /** As {@link openFilesOf} names it. */
  readonly socket: string;
  /** The kernel's notation: words of 32 bits in hexadecimal, each in the machine's byte order. */
  readonly address: string;
  readonly port: number;
}

const LISTEN = "0A";

/** All sockets that listen, from the kernel's tables. */
export function listeningSockets(): ListeningSocket[] {
  const lines = ["net/tcp", "net/tcp6"].flatMap((table) => readProc(table).split("\n").slice(1));
  return lines.flatMap((line) => {
    const [, local = "", , state, , , , , , inode] = line.trim().split(/\s+/);
    const [address = "", port = ""] = local.split(":");
    return state === LISTEN
      ? [{ socket: `socket:[${inode}]`, address, port: Number.parseInt(port, 16) }]
      : [];
  });
}
