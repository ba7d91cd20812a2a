/**
 * Part of `npm run check`: Python by ruff, and the width of TypeScript's comments, which Biome leaves alone.
 *
 *     tsx dev/style.ts [--fix]
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PositionEncoding, Workspace } from "@astral-sh/ruff-wasm-nodejs";
import { z } from "zod";
import { packageRoot } from "../lib/root";

/** Columns of a line, as in biome.json. */
const WIDTH = 110;

/**
 * Rules: https://docs.astral.sh/ruff/rules/. Not E4: scripts set `sys.path` before they import what lies
 * beside them.
 */
const RUFF = {
  "line-length": WIDTH,
  "target-version": "py39",
  lint: { select: ["E5", "E7", "E9", "F", "W", "I", "B"] },
};

const diagnosticsSchema = z.array(
  z.object({
    code: z.string().nullable(),
    message: z.string(),
    start_location: z.object({ row: z.number() }),
  }),
);

/** Problems of a Python file, each as `line: what`. */
function pythonProblems(ruff: Workspace, text: string, formatted: string): string[] {
  const unformatted = formatted === text ? [] : ["1: not formatted as ruff does it: npm run fix"];
  const found = diagnosticsSchema
    .parse(ruff.check(text))
    .map(({ code, message, start_location }) => `${start_location.row}: ${code ?? "syntax"} ${message}`);
  return [...unformatted, ...found];
}

/** Comments that are too wide. A line that one link fills cannot be broken. */
function wideComments(text: string): string[] {
  return text.split("\n").flatMap((line, index) => {
    const comment = /^\s*(?:\/\/|\/\*\*|\*)\s(.*)$/.exec(line)?.[1];
    if (comment === undefined || line.length <= WIDTH || /\S{80}/.test(comment)) return [];
    return [`${index + 1}: a comment of ${line.length} columns, ${WIDTH} at most`];
  });
}

function main(): void {
  const ruff = new Workspace(RUFF, PositionEncoding.Utf16);
  const root = packageRoot();
  const tracked = execFileSync("git", ["ls-files", "*.py", "*.ts", "*.mjs", "*.cjs"], {
    cwd: root,
    encoding: "utf8",
  });
  const problems = tracked
    .trim()
    .split("\n")
    .flatMap((file) => {
      const path = join(root, file);
      const text = readFileSync(path, "utf8");
      if (!file.endsWith(".py")) return wideComments(text).map((problem) => `${file}:${problem}`);
      const formatted = ruff.format(text);
      const mends = formatted !== text && process.argv.includes("--fix");
      if (mends) writeFileSync(path, formatted);
      const found = pythonProblems(ruff, mends ? formatted : text, formatted);
      return found.map((problem) => `${file}:${problem}`);
    });
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
}

main();
