/** Calls of the Python code in `runtime/`, for tests. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import type { PlanEntry } from "../plan/compact";
import type { ProgramPlan } from "../plan/types";
import { recipeText, type TaskInput } from "../sky/task";

export const RUNTIME = join(__dirname, "..", "runtime");

/** The text of a task, as in a launch. */
export function textOfTask(input: TaskInput, heading?: string): string {
  return recipeText(input, RUNTIME, heading);
}

/** The plan in the text of a task's `run`. */
export function planIn(run: string): string {
  return /<<'PLAN'\n([\s\S]*)\nPLAN\n$/.exec(run)?.[1] ?? "";
}

/** Output of the Python code `script`, run in `runtime/`, with a value as JSON on its standard input. */
export function python(script: string, input: unknown, env: NodeJS.ProcessEnv = process.env): string {
  return execFileSync("python3", ["-B", "-c", script], {
    cwd: RUNTIME,
    input: JSON.stringify(input),
    encoding: "utf8",
    maxBuffer: 1 << 28,
    env,
    // The thrown error has the message.
    stdio: "pipe",
  });
}

/** Specifications of programs by rank of their node, for each of several plans. */
export function programsOfPlans(
  plans: readonly PlanEntry[],
  model?: string,
): readonly Readonly<Record<string, readonly ProgramPlan[]>>[] {
  const script = `import json, sys, plan
plans, model = json.load(sys.stdin)
print(json.dumps([plan.nodes_of(one, model) for one in plans]))`;
  return JSON.parse(python(script, [plans, model ?? null]));
}

/** The files of a unit, by path. */
export function unitFiles(unit: string, programs: readonly ProgramPlan[]): Readonly<Record<string, string>> {
  const script = `import json, sys, plan
unit, specs = json.load(sys.stdin)
print(json.dumps(plan.unit_files(unit, specs)))`;
  return JSON.parse(python(script, [unit, programs]));
}

/** nginx's configuration, as rendered by the gateway. */
export function nginxConf({ command }: Pick<ProgramPlan, "command">): string {
  return execFileSync("python3", ["-B", join(RUNTIME, "gateway.py"), ...command.slice(2), "--print"], {
    encoding: "utf8",
  });
}

/** Digest of a program; it restarts if this changes. */
export function specDigest(program: ProgramPlan): string {
  const files = unitFiles("unit", [program])[`units/unit/${program.name}.conf`] ?? "";
  return /DYNAMO_SKY_SPEC="(\w+)"/.exec(files)?.[1] ?? "";
}
