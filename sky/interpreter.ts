/** How to run SkyPilot's Python. */
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { packageRoot } from "../lib/root";

/** Wide and plain: SkyPilot wraps its messages to the terminal's width. */
export const PLAIN_OUTPUT = { COLUMNS: "400", NO_COLOR: "1", PYTHONUNBUFFERED: "1" } as const;

/** Path of `questions.py`. */
export const QUESTIONS = join(packageRoot(), "sky", "questions.py");

/** The Python interpreter of `sky`: next to it, or named in its first line. Undefined if neither exists. */
export function interpreterOf(sky: string): string | undefined {
  const beside = join(dirname(realpathSync(sky)), "python");
  if (existsSync(beside)) return beside;
  const named = /^#!(\S*python\S*)$/.exec(readFileSync(sky, "utf8").split("\n", 1)[0] ?? "")?.[1];
  return named !== undefined && existsSync(named) ? named : undefined;
}
