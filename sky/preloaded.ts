/**
 * SkyPilot, loaded once per Pulumi operation. Loading takes seconds, and an operation runs a program and
 * several commands that need it. Without it each process loads its own.
 */

import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { inherited } from "../lib/inherited";
import { startTime } from "../lib/processes";
import { type SkyProgram, skyAtHand } from "../toolchain/skypilot";
import { interpreterOf, PLAIN_OUTPUT, QUESTIONS } from "./interpreter";
import { forkProcess, type SkyProcess } from "./process";

/** Environment variable with its path, for the processes of an operation. */
const PRELOADED = "DYNAMO_SKY_PRELOADED";
const preloadedSchema = z.object({ command: z.string(), socket: z.string() });

/** Beginning of a directory's name, before the id of the process that it is for. */
const DIRECTORY = "dsky-preload-";
const OWNED = new RegExp(`^${DIRECTORY}(\\d+)-`);

/** Leaves room for a name within the limit of a socket's path, 107 bytes (unix(7)). */
const LONGEST_PATH = 90;

/**
 * Starts loading the SkyPilot that an operation will need, in the background. Does nothing if it is not
 * installed yet, or if a process with it cannot be forked safely (macOS).
 *
 * @param infra As in the configuration.
 * @returns Stops it. It also ends with this process.
 */
export async function preloadSkyPilot(infra: readonly string[]): Promise<() => void> {
  const nothing = () => undefined;
  const program = process.platform === "linux" ? await skyAtHand(infra) : undefined;
  const python = program && interpreterOf(program.command);
  if (program === undefined || python === undefined || tmpdir().length > LONGEST_PATH) return nothing;
  removeLeft();
  const directory = mkdtempSync(join(tmpdir(), `${DIRECTORY}${process.pid}-`));
  const socket = join(directory, "sky");
  const child = spawn(python, [QUESTIONS, "--listen", socket], {
    env: { ...inherited(), ...program.env, ...PLAIN_OUTPUT },
    // It ends when its stdin closes, and ignores Ctrl-C, after which commands still have to be stopped in
    // order.
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  child.on("error", nothing);
  // It removes its directory itself, unless it was killed or SkyPilot did not load.
  child.on("close", () => rmSync(directory, { recursive: true, force: true }));
  child.stdin.on("error", nothing);
  child.unref();
  process.env[PRELOADED] = JSON.stringify({ command: program.command, socket });
  return () => {
    delete process.env[PRELOADED];
    child.stdin.end();
  };
}

/** Directories of processes that were killed: with them died who would have removed it. */
function removeLeft(): void {
  for (const name of readdirSync(tmpdir())) {
    const owner = OWNED.exec(name)?.[1];
    if (owner !== undefined && startTime(Number(owner)) === undefined)
      rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
}

/** Whether this SkyPilot is loaded, or being loaded. */
export function isPreloaded({ command }: SkyProgram): boolean {
  return preloaded()?.command === command;
}

/** A process with SkyPilot loaded; undefined if not available. */
export async function preloadedProcess(signal: AbortSignal): Promise<SkyProcess | undefined> {
  const found = preloaded();
  return found && (await forkProcess(found.socket, signal));
}

function preloaded(): z.output<typeof preloadedSchema> | undefined {
  const text = process.env[PRELOADED];
  return text === undefined ? undefined : preloadedSchema.parse(JSON.parse(text));
}
