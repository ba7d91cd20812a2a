/**
 * A command line of the user's, as the program's own parser will read it: Python's argparse, with the flags
 * of `flags.ts`. What it would refuse ends a worker only once its node is paid for.
 */
import { type EngineName, engines } from "../engines";
import type { Notation } from "../engines/engine";
import { type FlagTable, type FlagValues, FRONTEND_TABLE } from "./flags";
import { isFlag, spelling } from "./reserved";
import { nearest, show } from "./values";

/** Whose arguments they are. */
export type ArgumentsOf = EngineName | "frontend";

/** Every flag of a program. */
export const tableOf = (program: ArgumentsOf): FlagTable =>
  program === "frontend" ? FRONTEND_TABLE : engines[program].table;

const notationOf = (program: ArgumentsOf): Notation =>
  program === "frontend" ? {} : (engines[program].notation ?? {});

/** What is wrong with one argument of a list. */
export interface ArgumentProblem {
  readonly index: number;
  readonly message: string;
}

interface Options {
  /** Whether an unknown flag is a mistake: not where another version of the program may run. */
  readonly knowsAll: boolean;
}

interface Read {
  readonly index: number;
  /** The argument that has the flag; undefined for values that belong to none. */
  readonly written: string | undefined;
  /** What follows it, `=value` included. */
  readonly values: readonly { readonly index: number; readonly text: string }[];
}

/** Every argument that the program would refuse. */
export function argumentProblems(
  program: ArgumentsOf,
  args: readonly string[],
  { knowsAll }: Options,
): ArgumentProblem[] {
  return split(args).flatMap((read) => {
    const { written, index, values } = read;
    if (written === undefined) return values.map(stray(program));
    const name = written.replace(/=.*/s, "");
    if (name === "--")
      return [{ index, message: `"--" ends the flags, and ${program} takes nothing else. Remove it.` }];
    const kind = kindOf(program, name);
    if (kind !== undefined) return valueProblems(program, name, kind, read);
    return knowsAll ? [{ index, message: unknown(program, name) }] : [];
  });
}

/** Flags, each with the values that follow. Numbers below zero are values, as for argparse. */
function split(args: readonly string[]): Read[] {
  const found: { index: number; written: string | undefined; values: { index: number; text: string }[] }[] =
    [];
  for (const [index, text] of args.entries()) {
    const last = found.at(-1);
    if (text === "--" || isFlag(text)) {
      const value = /=(.*)/s.exec(text)?.[1];
      found.push({ index, written: text, values: value === undefined ? [] : [{ index, text: value }] });
    } else if (last === undefined) found.push({ index, written: undefined, values: [{ index, text }] });
    else last.values.push({ index, text });
  }
  return found;
}

const stray =
  (program: ArgumentsOf, flag?: string) =>
  ({ index, text }: { index: number; text: string }): ArgumentProblem => {
    const what = flag === undefined ? "is no flag" : `is no value of ${flag}`;
    const message = `${show(text)} ${what}, and ${program} takes nothing but flags and their values. Remove it, or write the flag before it.`;
    return { index, message };
  };

/** What may follow a flag, written in any way that its parser takes; undefined if there is no such flag. */
function kindOf(program: ArgumentsOf, name: string): FlagValues | undefined {
  const { flags } = tableOf(program);
  const { keysOfJson, other } = notationOf(program);
  const unlisted = other?.(name);
  if (unlisted !== undefined) return unlisted;
  const [plain = "", key] = keysOfJson ? spelling(name).split(/\.(.*)/s) : [name];
  const flag = Object.hasOwn(flags, plain) ? plain : longer(flags, plain);
  const kind = flag === undefined ? undefined : flags[flag];
  return kind !== undefined && key !== undefined ? "one" : kind;
}

/**
 * argparse takes the beginning of a long flag for it:
 * https://docs.python.org/3/library/argparse.html#allow-abbrev
 */
function longer(flags: FlagTable["flags"], written: string): string | undefined {
  return written.startsWith("--") && written.length > 2
    ? Object.keys(flags).find((flag) => flag.startsWith(written))
    : undefined;
}

function valueProblems(
  program: ArgumentsOf,
  name: string,
  kind: FlagValues,
  { written, index, values }: Read,
): ArgumentProblem[] {
  const [first, ...more] = values;
  const rest = more.map(stray(program, name));
  switch (kind) {
    case "exits":
      return [
        {
          index,
          message: `${name} prints something and ends the program, which would start again for ever. Remove it.`,
        },
      ];
    case "none":
      if (written !== name) return [{ index, message: `${name} takes no value. Write ${name} alone.` }];
      return values.map(stray(program, name));
    case "several":
      return [];
    case "at most one":
      return rest;
    case "one":
    case "JSON":
      if (first === undefined)
        return [{ index, message: `${name} needs a value. Add it, or remove the flag.` }];
      return [...jsonProblems(name, kind, first), ...rest];
  }
}

/** An object or a list: not the placeholder of a file, nor a template (`{{ … }}`, `{% … %}`). */
const BEGINS_JSON = /^\s*(\{\s*["'}]|\[\s*["'{])/;

function jsonProblems(name: string, kind: FlagValues, { index, text }: { index: number; text: string }) {
  if (kind !== "JSON" && !BEGINS_JSON.test(text)) return [];
  try {
    JSON.parse(text);
    return [];
  } catch {
    const message = `${show(text)} is not JSON, which ${name} takes. Write it as JSON in single quotes, with names and text in double quotes: '{"name": 1}'.`;
    return [{ index, message }];
  }
}

/** Where a flag that is gone has gone to: vLLM's own hint for `--task`. */
function unknown(program: ArgumentsOf, name: string): string {
  const flags = Object.keys(tableOf(program).flags);
  const near = nearest(name, flags) ?? nearest(`-${name}`, flags);
  const hint = near === undefined ? "" : ` Did you mean ${near}?`;
  return `${name} is no flag of ${program} as Dynamo's release has it.${hint} Remove it, or set sky.image to an image whose ${program} has it.`;
}
