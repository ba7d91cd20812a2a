/**
 * Runs one command like the official plugin:
 * https://github.com/pulumi/pulumi-command/blob/v1.2.1/provider/pkg/provider/local/commandOutputs.go
 */

import { isUtf8 } from "node:buffer";
import { spawn } from "node:child_process";
import { accessSync, closeSync, constants, openSync, readSync, statSync } from "node:fs";
import type { Socket } from "node:net";
import { delimiter, join, resolve } from "node:path";
import { StringDecoder } from "node:string_decoder";
import type { Call } from "../rpc/server";
import { errnoText, exitText, quote } from "./goText";
import { LineSplitter } from "./lines";
import { openChannels } from "./pipes";

/** What a command is given. */
export interface RunInputs {
  stdin?: string;
  /** `stdout`, `stderr`, `stdoutAndStderr`, or anything else for no logging. Default: both. */
  logging?: string;
  /** Program and arguments before the command's text. Default: `/bin/sh -c`. */
  interpreter?: string[];
  /** Default: the plugin's own directory, which is the project's. */
  dir?: string;
  environment?: Record<string, string>;
  /** Default: true. */
  addPreviousOutputInEnv?: boolean;
}

/** A command's output, each without one final newline. */
export interface RunOutputs {
  stdout: string;
  stderr: string;
}

/**
 * Runs a command until it and all processes that hold its output have ended.
 *
 * @param previous Output of the last run of the same resource.
 * @throws if it cannot be started or fails; the message has its text and all its output.
 */
export async function run(
  call: Call,
  command: string,
  inputs: RunInputs,
  previous: RunOutputs,
): Promise<RunOutputs> {
  const printed = { stdout: [] as Buffer[], stderr: [] as Buffer[], both: [] as Buffer[] };
  const loggedLines = new LineSplitter((line) => call.logStatus(line));
  const logging = inputs.logging ?? "stdoutAndStderr";
  const collect = (stream: "stdout" | "stderr") => {
    const logged = logging === stream || logging === "stdoutAndStderr";
    const decoder = new StringDecoder("utf8");
    return (chunk: Buffer) => {
      printed[stream].push(chunk);
      printed.both.push(chunk);
      if (logged) loggedLines.push(decoder.write(chunk));
    };
  };

  const failure = await execute(call.signal, command, inputs, previous, collect("stdout"), collect("stderr"));
  loggedLines.end();
  if (failure !== undefined) {
    throw new Error(`${failure}: running ${quote(command)}:\n${Buffer.concat(printed.both)}`);
  }
  return { stdout: outputText(printed.stdout), stderr: outputText(printed.stderr) };
}

/**
 * @throws if it is not valid UTF-8: the protocol cannot carry anything else, and the official plugin fails
 * too.
 */
function outputText(chunks: Buffer[]): string {
  const output = Buffer.concat(chunks);
  if (!isUtf8(output)) {
    throw new Error("the command's output cannot be sent: string field contains invalid UTF-8");
  }
  return output.toString("utf8").replace(/\n$/, "");
}

/** Resolves to the error in Go's wording; undefined on success. */
async function execute(
  signal: AbortSignal,
  command: string,
  inputs: RunInputs,
  previous: RunOutputs,
  onStdout: (chunk: Buffer) => void,
  onStderr: (chunk: Buffer) => void,
): Promise<string | undefined> {
  if (signal.aborted) return abortText(signal);
  const interpreter = inputs.interpreter ?? [];
  const [program = "", ...args] = [...(interpreter.length > 0 ? interpreter : ["/bin/sh", "-c"]), command];
  const file = findProgram(program);
  if (file === undefined) return `exec: ${quote(program)}: executable file not found in $PATH`;
  const env = environment(inputs, previous);
  const obstacle = findObstacle(file, [program, ...args], env, inputs.dir);
  if (obstacle !== undefined) return obstacle;

  const channels = openChannels(inputs.stdin);
  const output = [read(channels.stdout, onStdout), read(channels.stderr, onStderr)];
  const ended = start(file, args, { argv0: program, cwd: inputs.dir, env, stdio: channels.stdio, signal });
  channels.releaseChildEnds();
  const [failure] = await Promise.all([ended, ...output]);
  return failure;
}

function start(
  file: string,
  args: string[],
  options: {
    argv0: string;
    cwd: string | undefined;
    env: NodeJS.ProcessEnv;
    stdio: (number | "ignore")[];
    signal: AbortSignal;
  },
): Promise<string | undefined> {
  const { signal, ...spawnOptions } = options;
  return new Promise((resolve) => {
    try {
      const child = spawn(file, args, spawnOptions);
      // Kills only the command's own process, like the official plugin; its children live on.
      const kill = () => child.kill("SIGKILL");
      signal.addEventListener("abort", kill, { once: true });
      child.once("error", (error) => resolve(`fork/exec ${file}: ${errnoText(error)}`));
      child.once("exit", (code, signalName) => {
        signal.removeEventListener("abort", kill);
        resolve(exitText(code, signalName));
      });
    } catch (error) {
      // Arguments that no process can have, such as a NUL, and lists that are too long.
      resolve(`fork/exec ${file}: ${error instanceof Error ? errnoText(error) : String(error)}`);
    }
  });
}

function environment(inputs: RunInputs, previous: RunOutputs): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = { ...process.env, ...inputs.environment };
  if (inputs.addPreviousOutputInEnv !== false) {
    if (previous.stdout !== "") env["PULUMI_COMMAND_STDOUT"] = previous.stdout;
    if (previous.stderr !== "") env["PULUMI_COMMAND_STDERR"] = previous.stderr;
  }
  return env;
}

/** Passes on data, and resolves when all writers have closed. */
function read(stream: Socket, onData: (chunk: Buffer) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.on("data", onData);
    stream.once("error", reject);
    stream.once("end", () => {
      stream.destroy();
      resolve();
    });
  });
}

/** Looked up in the plugin's PATH, not in the command's; undefined if not found. */
function findProgram(program: string): string | undefined {
  if (program.includes("/")) return program;
  const candidates = (process.env["PATH"] ?? "")
    .split(delimiter)
    .map((directory) => join(directory, program));
  return candidates.find((candidate) => {
    try {
      accessSync(candidate, constants.X_OK);
      return statSync(candidate).isFile();
    } catch {
      return false;
    }
  });
}

/**
 * Errors, in Go's wording, for commands where Node would report something else (with the values of the
 * environment, which may be secret) or start something else (a script without an interpreter line).
 */
function findObstacle(
  file: string,
  argv: string[],
  env: NodeJS.ProcessEnv,
  dir: string | undefined,
): string | undefined {
  if (Object.entries(env).flat().some(hasNul)) return "exec: environment variable contains NUL";
  if (dir !== undefined) {
    const found = statSync(dir, { throwIfNoEntry: false });
    if (found === undefined) return `chdir ${dir}: no such file or directory`;
    if (!found.isDirectory()) return `fork/exec ${file}: not a directory`;
  }
  if (argv.some(hasNul)) return `fork/exec ${file}: invalid argument`;
  return isUnmarkedScript(resolve(dir ?? ".", file)) ? `fork/exec ${file}: exec format error` : undefined;
}

function hasNul(text: string | undefined): boolean {
  return text?.includes("\0") ?? false;
}

/** An executable text file without `#!`: Node runs it with a shell, the official plugin does not run it. */
function isUnmarkedScript(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    const descriptor = openSync(file, "r");
    const start = Buffer.alloc(64);
    const length = readSync(descriptor, start, 0, start.length, 0);
    closeSync(descriptor);
    return (
      isUtf8(start.subarray(0, length)) &&
      !start.subarray(0, length).includes(0) &&
      !start.toString().startsWith("#!")
    );
  } catch {
    // Missing, not a file or not readable: starting it will fail with the right error.
    return false;
  }
}

function abortText(signal: AbortSignal): string {
  const reason: unknown = signal.reason;
  return reason instanceof DOMException && reason.name === "TimeoutError"
    ? "context deadline exceeded"
    : "context canceled";
}
