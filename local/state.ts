/** Whether a program really runs: what supervisor says, and what the launcher has noted. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { ProgramState } from "./supervisor";

/** What `History` in `runtime/launch.py` writes to `run/<name>.json`. */
export const historySchema = z.object({
  starts: z.number(),
  /** How often in a row it ended right after its start. */
  crashes: z.number(),
  pid: z.number(),
  /** When it was started last, seconds since 1970. */
  at: z.number().default(0),
});
export type History = z.output<typeof historySchema>;

/**
 * The state of a program in supervisor's words: `RUNNING`, `STARTING` while the launcher waits for what the program needs,
 * `BACKOFF` while it holds back one that keeps crashing (supervisor itself sees the launcher and calls both running), and
 * `MISSING` for one that supervisor does not know.
 */
export function programState(
  nodeDirectory: string,
  name: string,
  states: readonly ProgramState[] | undefined,
): string {
  const seen = states?.find((state) => state.name === name);
  return stateOf(seen, () => readHistory(nodeDirectory, name));
}

/** {@link programState} of what was read before. */
export function stateOf(
  seen: Pick<ProgramState, "state" | "pid"> | undefined,
  readHistory: () => History | undefined,
): string {
  if (seen === undefined) return "MISSING";
  // One that has ended is started again within a second, whatever its exit code.
  if (seen.state !== "RUNNING" && seen.state !== "EXITED") return seen.state;
  const history = readHistory();
  if (seen.state === "RUNNING" && history?.pid === seen.pid) return "RUNNING";
  return (history?.crashes ?? 0) > 0 ? "BACKOFF" : "STARTING";
}

/** How often a program was started, and how often in a row it ended at once; undefined before its first start. */
export function readHistory(nodeDirectory: string, name: string): History | undefined {
  try {
    const path = join(nodeDirectory, "run", `${name}.json`);
    return historySchema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch {
    return undefined; // not started yet
  }
}
