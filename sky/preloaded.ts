/**
 * SkyPilot, loaded once for a whole operation of Pulumi. Loading takes seconds, and an operation runs a program and several commands that
 * need it. Where nobody has loaded it, each loads its own.
 */
import { spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { type SkyProgram, skyAtHand } from "../toolchain/skypilot";
import { interpreterOf, PLAIN_OUTPUT, QUESTIONS } from "./interpreter";
import { forkProcess, type SkyProcess } from "./process";

/** Environment variable that tells the programs of an operation where it is. */
const PRELOADED = "DYNAMO_SKY_PRELOADED";
const preloadedSchema = z.object({ command: z.string(), socket: z.string() });

/** With a name behind it this is still short enough for a socket, of which the path has at most 107 bytes (unix(7)). */
const LONGEST_PATH = 90;

/**
 * Begins to load the SkyPilot that an operation will need, while other things are done. Does nothing where it is not installed yet, and
 * on systems where a process with it cannot be forked in safety (macOS).
 *
 * @param infra As in the configuration.
 * @returns ends it. It ends with this process in any case.
 */
export async function preloadSkyPilot(infra: readonly string[]): Promise<() => void> {
  const nothing = () => undefined;
  const program = process.platform === "linux" ? await skyAtHand(infra) : undefined;
  const python = program && interpreterOf(program.command);
  if (program === undefined || python === undefined || tmpdir().length > LONGEST_PATH) return nothing;
  const socket = join(mkdtempSync(join(tmpdir(), "dsky-preload-")), "sky");
  const child = spawn(python, [QUESTIONS, "--listen", socket], {
    env: { ...process.env, ...program.env, ...PLAIN_OUTPUT },
    // It ends with its input, and not with a Ctrl-C, at which commands still have to be ended in order.
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  child.on("error", nothing);
  child.stdin.on("error", nothing);
  child.unref();
  process.env[PRELOADED] = JSON.stringify({ command: program.command, socket });
  return () => {
    delete process.env[PRELOADED];
    child.stdin.end();
  };
}

/** Whether this very SkyPilot is loaded, or being loaded. */
export function isPreloaded({ command }: SkyProgram): boolean {
  return preloaded()?.command === command;
}

/** A process with SkyPilot loaded; undefined when none can be had. */
export async function preloadedProcess(signal: AbortSignal): Promise<SkyProcess | undefined> {
  const found = preloaded();
  return found && (await forkProcess(found.socket, signal));
}

function preloaded(): z.output<typeof preloadedSchema> | undefined {
  const text = process.env[PRELOADED];
  return text === undefined ? undefined : preloadedSchema.parse(JSON.parse(text));
}
