/**
 * Part of `npm run check`: Python by ruff, and the width of comments in TypeScript, YAML, shell and
 * configuration files, and of prose.
 *
 *     tsx dev/style.ts [--fix]
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PositionEncoding, Workspace } from "@astral-sh/ruff-wasm-nodejs";
import { z } from "zod";
import { packageRoot } from "../lib/root";
import { rewrapped, wideComments } from "./comments";
import { rewrappedHash, wideHashComments } from "./hashComments";
import { rewrappedProse, wideProse } from "./prose";

/** Columns of a line, also of a comment: Biome's limit, which holds for all. */
const WIDTH = z
  .object({ formatter: z.object({ lineWidth: z.int() }) })
  .parse(JSON.parse(readFileSync(join(packageRoot(), "biome.json"), "utf8"))).formatter.lineWidth;

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

interface Checks {
  /** The text with all that can be mended. */
  readonly better: (text: string) => string;
  readonly problems: (text: string, better: string) => string[];
}

/** A recipe: its comments are the commands to copy, and sentences of one line, so that it fits a screen. */
const isRendered = (text: string) => /^# .*Made from \S+ by `dynamo-sky recipe`\.$/m.test(text);

function checksFor(ruff: Workspace, path: string): Checks {
  if (path.endsWith(".md"))
    return { better: (text) => rewrappedProse(text), problems: (text) => wideProse(text) };
  if (path.endsWith(".py"))
    return {
      better: (text) => ruff.format(text),
      problems: (text, better) => pythonProblems(ruff, text, better),
    };
  if (!/\.[cm]?[jt]s$/.test(path))
    return {
      better: (text) => (isRendered(text) ? text : rewrappedHash(text, WIDTH)),
      problems: (text) => (isRendered(text) ? [] : wideHashComments(text, WIDTH)),
    };
  return { better: (text) => rewrapped(text, WIDTH), problems: (text) => wideComments(text, WIDTH) };
}

/** The problems of a file that are left, after those that can be mended were, if they shall be. */
function problemsOf(ruff: Workspace, path: string, mends: boolean): string[] {
  const text = readFileSync(path, "utf8");
  const { better, problems } = checksFor(ruff, path);
  const mended = better(text);
  if (mends && mended !== text) writeFileSync(path, mended);
  return problems(mends ? mended : text, mended);
}

function main(): void {
  const ruff = new Workspace(RUFF, PositionEncoding.Utf16);
  const root = packageRoot();
  const mends = process.argv.includes("--fix");
  const scripts = ["*.py", "*.ts", "*.mts", "*.mjs", "*.cjs", "*.sh", "bin/dynamo-sky", ".ci/run"];
  const kinds = [...scripts, "*.md", "*.yaml", "*.yml", "*.in", "*.conf", "*.service"];
  const tracked = execFileSync("git", ["ls-files", ...kinds], { cwd: root, encoding: "utf8" });
  const problems = tracked
    .trim()
    .split("\n")
    .flatMap((file) => problemsOf(ruff, join(root, file), mends).map((problem) => `${file}:${problem}`));
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
}

main();
