/** A process that runs `questions.py` or a `sky` command. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { connect, type Socket } from "node:net";
import type { Readable, Writable } from "node:stream";
import { z } from "zod";

export interface SkyProcess {
  readonly input: Writable;
  readonly output: Readable;
  /** Undefined if stderr is part of the output. */
  readonly errors?: Readable;
  /** Resolves when it has ended. Never rejects. */
  readonly ended: Promise<ProcessEnd>;
  /** Kills it and its children. */
  readonly kill: () => void;
}

export interface ProcessEnd {
  /** Undefined if it was killed, did not start, or is not a child of this process. */
  readonly code: number | undefined;
  /** Why it did not start. */
  readonly problem?: string;
}

/** Starts a child process. */
export function spawnProcess(command: string, args: readonly string[], env: NodeJS.ProcessEnv): SkyProcess {
  // In its own process group, so that its children are killed with it.
  const child: ChildProcessWithoutNullStreams = spawn(command, args, { env, detached: true });
  // Ignores writes to a process that has ended; its end is reported instead.
  child.stdin.on("error", () => undefined);
  const ended = new Promise<ProcessEnd>((resolve) => {
    child.once("error", ({ message }) => resolve({ code: undefined, problem: message }));
    child.once("close", (code) => resolve({ code: code ?? undefined }));
  });
  return {
    input: child.stdin,
    output: child.stdout,
    errors: child.stderr,
    ended,
    kill: () => killGroup(child.pid),
  };
}

const helloSchema = z.object({ pid: z.number() });
const LINE_FEED = 0x0a;

/**
 * Connects to a process forked by `questions.py --listen`. Sends nothing before it is ready, so that it
 * starts no work for a caller that has given up.
 *
 * @returns undefined if not available.
 */
export function forkProcess(socketPath: string, signal: AbortSignal): Promise<SkyProcess | undefined> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    let begun = Buffer.alloc(0);
    const abandon = (): void => {
      signal.removeEventListener("abort", abandon);
      socket.destroy();
      resolve(undefined);
    };
    signal.addEventListener("abort", abandon, { once: true });
    socket.once("error", abandon);
    socket.once("close", abandon);
    const onData = (data: Buffer): void => {
      begun = Buffer.concat([begun, data]);
      const end = begun.indexOf(LINE_FEED);
      if (end < 0) return;
      socket.off("data", onData).off("close", abandon).off("error", abandon);
      signal.removeEventListener("abort", abandon);
      const { pid } = helloSchema.parse(JSON.parse(begun.subarray(0, end).toString("utf8")));
      socket.pause();
      socket.unshift(begun.subarray(end + 1));
      resolve(forkedProcess(socket, pid));
    };
    socket.on("data", onData);
  });
}

function forkedProcess(socket: Socket, pid: number): SkyProcess {
  socket.on("error", () => undefined);
  const ended = new Promise<ProcessEnd>((resolve) => {
    socket.once("close", () => resolve({ code: undefined }));
  });
  return { input: socket, output: socket, ended, kill: () => killGroup(pid) };
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // Already ended.
  }
}
