import { type ChildProcess, spawn } from "node:child_process";
import { accessSync } from "node:fs";
import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { codeOf, UserError } from "./errors";
import { inherited } from "./inherited";

/** Options to run a program. */
export interface RunOptions {
  readonly cwd?: string;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Time limit in seconds, after which the program and its descendants are killed. */
  readonly timeoutSeconds: number;
  /** Standard input of the program; default: empty. */
  readonly stdin?: string;
}

/** Output of a program that succeeded. */
export interface RunResult {
  readonly stdout: string;
  readonly stderr: string;
}

/** A program that could not be started, failed, or timed out. */
export class CommandFailed extends UserError {
  override readonly name: string = "CommandFailed";

  constructor(
    message: string,
    readonly exitCode: number | undefined,
    readonly output: string,
  ) {
    super(message);
  }
}

/** The message of any thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const running = new Set<ChildProcess>();
const fatalSignals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const outputLimit = 4 << 20;
const linesInError = 15;

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // The process group has already ended.
  }
}

/**
 * Children lead their own process groups, so that a time-out reaches their descendants; a signal to this
 * process must reach them too.
 */
function onFatalSignal(signal: NodeJS.Signals): void {
  for (const child of running) killGroup(child);
  for (const other of fatalSignals) process.off(other, onFatalSignal);
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
}

function onExit(): void {
  for (const child of running) killGroup(child);
}

function track(child: ChildProcess): void {
  if (running.size === 0) {
    for (const signal of fatalSignals) process.on(signal, onFatalSignal);
    process.on("exit", onExit);
  }
  running.add(child);
}

function untrack(child: ChildProcess): void {
  running.delete(child);
  if (running.size > 0) return;
  for (const signal of fatalSignals) process.off(signal, onFatalSignal);
  process.off("exit", onExit);
}

/**
 * Runs a program and waits for its exit.
 * @throws CommandFailed with the program, the cause, and the last lines of its output.
 */
export function run(command: string, args: readonly string[], options: RunOptions): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: { ...inherited(), ...options.env },
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
    });
    track(child);
    let stdout = "";
    let stderr = "";
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      killGroup(child);
    }, options.timeoutSeconds * 1000);
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout = (stdout + text).slice(-outputLimit);
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr = (stderr + text).slice(-outputLimit);
    });
    // A program that exits without reading its input closes the pipe; its exit code is reported instead.
    child.stdin.on("error", () => undefined);
    child.stdin.end(options.stdin ?? "");
    const settle = (problem: string | undefined, code: number | undefined) => {
      clearTimeout(timer);
      untrack(child);
      if (problem === undefined) return resolve({ stdout, stderr });
      const output = `${stdout}\n${stderr}`.trim();
      const tail = output.split("\n").slice(-linesInError).join("\n");
      reject(
        new CommandFailed(`\`${command} ${args.join(" ")}\` ${problem}${tail && `:\n${tail}`}`, code, output),
      );
    };
    child.on("error", (error) => settle(`could not be started (${error.message})`, undefined));
    child.on("close", (code, signal) => {
      if (timedOut) return settle(`was stopped after ${options.timeoutSeconds} s`, undefined);
      if (code !== 0)
        return settle(code === null ? `died of ${signal}` : `ended with code ${code}`, code ?? undefined);
      return settle(undefined, 0);
    });
  });
}

/** Absolute path of a program on PATH, or undefined. */
export async function findOnPath(program: string, path = process.env["PATH"]): Promise<string | undefined> {
  for (const dir of (path ?? "").split(delimiter)) {
    if (dir === "") continue;
    const candidate = join(dir, program);
    if (await isExecutable(candidate)) return candidate;
  }
  return undefined;
}

/** Whether this user can execute a file. */
export async function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** Synchronous version. */
export function isExecutableNow(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Whether a web page is reachable. A proxy that blocks the site responds too, but with an error.
 * @param seconds Time after which it counts as unreachable.
 */
export async function isReachable(url: string, seconds: number): Promise<boolean> {
  try {
    const response = await fetch(url, { method: "HEAD", signal: AbortSignal.timeout(seconds * 1000) });
    return response.ok;
  } catch {
    return false;
  }
}

/** Whether a process of any user exists on this machine. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}
