/** Actual state of a program, from supervisor and the launcher. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { ProgramState } from "./supervisor";

/** Content of `run/<name>.json`, written by `History` in `runtime/launch.py`. */
export const historySchema = z.object({
  starts: z.number(),
  /** Number of consecutive crashes right after its start. */
  crashes: z.number(),
  /** GPUs of the last start, as CUDA knows them on that machine: indices or UUIDs; empty without GPUs. */
  gpus: z.array(z.string()).optional(),
  pid: z.number(),
  /** Time of the last start, seconds since 1970. */
  at: z.number().default(0),
});
export type History = z.output<typeof historySchema>;

/**
 * The state of a program in supervisor's terms: `RUNNING`, `STARTING` while the launcher waits for
 * dependencies, `BACKOFF` while it delays the restart of a crashing program (supervisor itself sees the
 * launcher and reports both as running), and `MISSING` if supervisor does not know it.
 */
export function programState(
  nodeDirectory: string,
  name: string,
  states: readonly ProgramState[] | undefined,
): string {
  const seen = states?.find((state) => state.name === name);
  return stateOf(seen, () => readHistory(nodeDirectory, name));
}

/** {@link programState}, from data read before. */
export function stateOf(
  seen: Pick<ProgramState, "state" | "pid"> | undefined,
  readHistory: () => History | undefined,
): string {
  if (seen === undefined) return "MISSING";
  // An exited program is restarted within a second, whatever its exit code.
  if (seen.state !== "RUNNING" && seen.state !== "EXITED") return seen.state;
  const history = readHistory();
  if (seen.state === "RUNNING" && history?.pid === seen.pid) return "RUNNING";
  return (history?.crashes ?? 0) > 0 ? "BACKOFF" : "STARTING";
}

/** How often a program was started, and how often in a row it crashed; undefined before its first start. */
export function readHistory(nodeDirectory: string, name: string): History | undefined {
  try {
    const path = join(nodeDirectory, "run", `${name}.json`);
    return historySchema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch {
    return undefined; // not started yet
  }
}
