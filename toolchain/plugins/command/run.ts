/**
 * Runs one command like the official plugin:
 * https://github.com/pulumi/pulumi-command/blob/v1.2.1/provider/pkg/provider/local/commandOutputs.go
 */

import { isUtf8 } from "node:buffer";
import { spawn } from "node:child_process";
import type { Socket } from "node:net";
import { StringDecoder } from "node:string_decoder";
import type { Call } from "../rpc/server";
import { errnoText, exitText, quote } from "./goText";
import { LineSplitter } from "./lines";
import { openChannels } from "./pipes";

const SHELL = "/bin/sh";

/** What a command is given. */
export interface RunInputs {
  stdin?: string;
  /** `stdout`, `stderr`, `stdoutAndStderr`, or anything else for no logging. Default: both. */
  logging?: string;
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
  const env = environment(inputs, previous);
  // Node would tell the values, which may be secret.
  if (Object.entries(env).flat().some(hasNul)) return "exec: environment variable contains NUL";
  if (hasNul(command)) return `fork/exec ${SHELL}: invalid argument`;

  const channels = openChannels(inputs.stdin);
  const output = [read(channels.stdout, onStdout), read(channels.stderr, onStderr)];
  const ended = start(command, { env, stdio: channels.stdio, signal });
  channels.releaseChildEnds();
  const [failure] = await Promise.all([ended, ...output]);
  return failure;
}

function start(
  command: string,
  options: { env: NodeJS.ProcessEnv; stdio: (number | "ignore")[]; signal: AbortSignal },
): Promise<string | undefined> {
  const { signal, ...spawnOptions } = options;
  return new Promise((resolve) => {
    try {
      const child = spawn(SHELL, ["-c", command], spawnOptions);
      // Kills only the command's own process, like the official plugin; its children live on.
      const kill = () => child.kill("SIGKILL");
      signal.addEventListener("abort", kill, { once: true });
      child.once("error", (error) => resolve(`fork/exec ${SHELL}: ${errnoText(error)}`));
      child.once("exit", (code, signalName) => {
        signal.removeEventListener("abort", kill);
        resolve(exitText(code, signalName));
      });
    } catch (error) {
      // More arguments or variables than a process can have.
      resolve(`fork/exec ${SHELL}: ${error instanceof Error ? errnoText(error) : String(error)}`);
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

function hasNul(text: string | undefined): boolean {
  return text?.includes("\0") ?? false;
}

function abortText(signal: AbortSignal): string {
  const reason: unknown = signal.reason;
  return reason instanceof DOMException && reason.name === "TimeoutError"
    ? "context deadline exceeded"
    : "context canceled";
}
