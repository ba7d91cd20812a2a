/** Runs `runtime/agent.py` on a node, and reads its answers. */

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Entries } from "./broughtFiles";
import { inherited } from "./inherited";
import type { NodeShell } from "./nodes";
import type { UnitChange } from "./nodeUnits";
import type { ProcessId } from "./processes";
import { runtimeDirectory } from "./runtimeFiles";

/** A request to a node; documented in `runtime/agent.py`. */
export type NodeRequest =
  | { readonly report: ReportRequest }
  | { readonly logs: LogsRequest }
  // `runtime/decisions.py`
  | { readonly decision: { readonly done: string | null } }
  | { readonly asked: object }
  // `runtime/units.py`
  | UnitChange
  | { readonly begin: { readonly unit: string; readonly owner: ProcessId } }
  | { readonly finish: { readonly unit: string } }
  | { readonly changes: { readonly unit: string; readonly programs: readonly object[] } }
  | { readonly call: { readonly url: string; readonly body: string | null; readonly seconds: number } }
  | { readonly rollout: object }
  // `runtime/brought.py`
  | { readonly lacking: { readonly files: Readonly<Record<string, string>> } }
  | { readonly bring: { readonly name: string; readonly digest: string; readonly entries: Entries } }
  | { readonly state: { readonly seconds: number } }
  | { readonly stop: { readonly except: readonly string[] } }
  | { readonly clean: object };

export interface ReportRequest {
  readonly programs: readonly string[];
  /** Ports by name. */
  readonly frontends: Readonly<Record<string, number>>;
  readonly model: string;
  /** Names of the requested metrics. */
  readonly series: readonly string[];
  readonly times: number;
  /** Seconds between two reports. */
  readonly every: number;
}

export interface LogsRequest {
  readonly programs: readonly string[];
  /** Last lines of each program; null for all. */
  readonly tail: number | null;
  /** Skips files that end before this: seconds since 1970; null for none. */
  readonly since: number | null;
  readonly follow: boolean;
}

const COMPLAINT_LENGTH = 500;

/**
 * Sends a request to a node, and passes on each of its answers.
 *
 * @throws Error with the message of the failed connection, or the signal's reason.
 */
export function askNode(
  shell: NodeShell,
  request: NodeRequest,
  onAnswer: (answer: unknown) => void,
  signal: AbortSignal,
): Promise<void> {
  const text = JSON.stringify({ dir: shell.directory, sky: shell.sky ?? null, ...request });
  const script = agentScript();
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const child = spawn(
      shell.command,
      shell.args(["-c", `import sys; exec(sys.stdin.read(${script.length}))`]),
      {
        env: { ...inherited(), ...shell.env },
        stdio: "pipe",
        // ssh keeps its connection for the next call, by a proxy that is in the process group of the first
        // one: Pulumi ends that group with the program or the plugin that it has started.
        detached: shell.sky !== undefined,
      },
    );
    const kill = () => child.kill();
    signal.addEventListener("abort", kill, { once: true });
    process.once("exit", kill);
    let complaint = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      complaint = (complaint + text).slice(-COMPLAINT_LENGTH);
    });
    // A process that exits without reading closes the pipe; its exit code is reported instead.
    child.stdin.on("error", () => undefined);
    child.stdin.end(script + text);
    const lines = createInterface({ input: child.stdout });
    let problem: unknown;
    lines.on("line", (line) => {
      try {
        onAnswer(JSON.parse(line));
      } catch (error) {
        problem ??= error;
        kill();
      }
    });
    const read = new Promise<void>((done) => lines.once("close", done));
    child.once("error", (error) => settle(error.message));
    child.once("close", (code) =>
      read.then(() => settle(code === 0 ? undefined : lastLine(complaint, code))),
    );
    function settle(failure: string | undefined): void {
      signal.removeEventListener("abort", kill);
      process.removeListener("exit", kill);
      if (signal.aborted) reject(signal.reason);
      else if (problem !== undefined) reject(problem);
      else if (failure !== undefined) reject(shell.failure?.(failure) ?? new Error(failure));
      else resolve();
    }
  });
}

/** Modules imported by the agent, sent with it, since a node may have another version, or none yet. */
const IMPORTED = [
  "files",
  "decisions",
  "processes",
  "supervisor_client",
  "supervision",
  "weights",
  "brought",
  "unit_changes",
  "units",
] as const;

/** `runtime/agent.py` and its imports as one text. JSON is valid Python, too. */
function agentScript(): string {
  const read = (name: string) => readFileSync(join(runtimeDirectory(), `${name}.py`), "utf8");
  const modules = IMPORTED.map(
    (name) => `module = sys.modules["${name}"] = types.ModuleType("${name}")
exec(compile(${JSON.stringify(read(name))}, "${name}.py", "exec"), module.__dict__)\n`,
  );
  return `import sys, types\n${modules.join("")}${read("agent")}`;
}

function lastLine(complaint: string, code: number | null): string {
  const said = complaint.trim().split("\n").at(-1)?.trim();
  return said || `it ended with code ${code}`;
}
