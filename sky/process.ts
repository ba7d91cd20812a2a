/** A process that answers questions for SkyPilot (`questions.py`), or is one of its commands. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { connect, type Socket } from "node:net";
import type { Readable, Writable } from "node:stream";
import { z } from "zod";

export interface SkyProcess {
  readonly input: Writable;
  readonly output: Readable;
  /** Undefined where they are part of the output. */
  readonly errors?: Readable;
  /** How it ended. Never rejects. */
  readonly ended: Promise<ProcessEnd>;
  /** Ends it, and what it has started. */
  readonly kill: () => void;
}

export interface ProcessEnd {
  /** Undefined when it was killed, did not start, or is not this process's own. */
  readonly code: number | undefined;
  /** Why it did not start. */
  readonly problem?: string;
}

/** Starts a process of this one's own. */
export function spawnProcess(command: string, args: readonly string[], env: NodeJS.ProcessEnv): SkyProcess {
  // A group of its own, so that its end takes its children along.
  const child: ChildProcessWithoutNullStreams = spawn(command, args, { env, detached: true });
  // A write to a process that has ended; its end is what is told.
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
 * A process that `questions.py --listen` makes, once it is there. Nothing is sent before that: it must not begin what nobody waits for any
 * more.
 *
 * @returns undefined when there is none to be had.
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
    // It is over.
  }
}
