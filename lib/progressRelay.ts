/**
 * How a command that Pulumi runs tells what it does. Pulumi repeats all that a command has printed when it
 * fails, and then the cause stands below pages of what everybody has seen already. So progress goes another
 * way where there is one: into a file that the program has opened, which passes it on to Pulumi. Where there
 * is none, as in `pulumi destroy`, which runs no program, it is printed.
 */
import { createHash } from "node:crypto";
import { appendFileSync, existsSync, mkdirSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { stateDir } from "./dirs";
import { removeOlder } from "./staleFiles";

/** A file that a program which was killed has left. */
const STALE_MS = 24 * 3_600_000;

function directory(): string {
  return join(stateDir(), "progress");
}

/** The same for both sides, who know each other by what the command is given. */
function fileOf(verb: string, input: string): string {
  return join(directory(), createHash("sha256").update(`${verb}\n${input}`).digest("hex"));
}

/** The program's side: what a command writes, from now on. */
export interface OpenRelay {
  readonly path: string;
  /** Open for reading; stays so when the command has removed the file. */
  readonly descriptor: number;
}

/**
 * To be called before the command starts.
 * @param verb What the command runs.
 * @param input What it reads from standard input.
 */
export function openRelay(verb: string, input: string): OpenRelay {
  mkdirSync(directory(), { recursive: true, mode: 0o700 });
  removeOlder(directory(), Date.now() - STALE_MS);
  const path = fileOf(verb, input);
  rmSync(path, { force: true });
  return { path, descriptor: openSync(path, "a+", 0o600) };
}

/** The command's side. */
export interface Relay {
  readonly write: (line: string) => void;
  /** Nothing more is written. */
  readonly close: () => void;
}

/** Undefined where nobody reads. */
export function findRelay(verb: string, input: string): Relay | undefined {
  const path = fileOf(verb, input);
  if (!existsSync(path)) return undefined;
  return { write: (line) => appendFileSync(path, line), close: () => rmSync(path, { force: true }) };
}
