/** What the nodes of this machine run, seen and changed without the driver. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { type UnitsState, unitsState } from "../lib/nodeUnits";
import { type NodeRecord, nodeShell, RECORD } from "../local/record";
import { locateTools } from "../toolchain";
import { RUNTIME } from "./runtime";

function recordOf(directory: string): NodeRecord {
  return JSON.parse(readFileSync(join(directory, RECORD), "utf8"));
}

/** The programs of a node. */
export async function programsOf(directory: string): Promise<UnitsState["programs"]> {
  const shell = nodeShell(directory, recordOf(directory));
  return (await unitsState(shell, 0, AbortSignal.timeout(30_000))).programs;
}

/** Process ids of a node's programs, by name. */
export async function pidsOf(directory: string): Promise<Record<string, number>> {
  const running = (await programsOf(directory)).filter(({ pid }) => pid !== 0);
  return Object.fromEntries(running.map(({ name, pid }) => [name, pid]));
}

/** Makes supervisor stop and forget a program, as somebody with `supervisorctl` might. */
export function stopByHand(directory: string, program: string): void {
  const script = `import sys, node, supervisor_client
supervisor = supervisor_client.supervisor_at(node.socket_path(sys.argv[1]), 60)
supervisor.stopProcessGroup(sys.argv[2], True)
supervisor.removeProcessGroup(sys.argv[2])`;
  const { pythonBin } = recordOf(directory);
  execFileSync(pythonBin, ["-B", "-c", script, directory, program], { cwd: RUNTIME, stdio: "pipe" });
}

/** What `runtime/node.py` keeps outside of a node's directory. */
export interface ShortPaths {
  /** Of the supervisor; in the node's directory where that is short. */
  readonly socket: string;
  readonly temporary: string;
}

export function shortPathsOf(directory: string): ShortPaths {
  const script = "print(node.socket_path(sys.argv[1])); print(node.temporary_directory(sys.argv[1]))";
  const [socket = "", temporary = ""] = nodePy(script, directory).split("\n");
  return { socket, temporary };
}

/** Removes it of nodes that no driver releases. */
export function removeShortPaths(directories: readonly string[]): void {
  nodePy("[node.remove_short_paths(directory) for directory in sys.argv[1:]]", ...directories);
}

function nodePy(script: string, ...args: readonly string[]): string {
  const python = locateTools().python?.path ?? "python3";
  const words = ["-B", "-c", `import sys, node; ${script}`, ...args];
  return execFileSync(python, words, { cwd: RUNTIME, encoding: "utf8" });
}

const historySchema = z.object({ starts: z.number(), crashes: z.number() });

/** How often a program was started, and crashed in a row; undefined before its first start. */
export function readHistory(directory: string, name: string): z.output<typeof historySchema> | undefined {
  try {
    return historySchema.parse(JSON.parse(readFileSync(join(directory, "run", `${name}.json`), "utf8")));
  } catch {
    return undefined;
  }
}
