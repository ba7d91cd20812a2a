/** Options shared by most commands. */
import { type ParseArgsOptionsConfig, parseArgs } from "node:util";
import { packageRoot } from "../lib/root";
import { fromCaller } from "./commandLine";
import { UsageProblem } from "./pulumi/problem";

/** Options of every command that prints a result. */
const COMMON = {
  json: { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
} as const;

/** Options of a command about a stack, as `util.parseArgs` takes them. */
export const STACK_OPTIONS = {
  stack: { type: "string", short: "s" },
  cwd: { type: "string", short: "C" },
} as const;

/** Parsed options, typed by their definition. */
type Read<T extends ParseArgsOptionsConfig> = ReturnType<
  typeof parseArgs<{ args: string[]; options: T & typeof COMMON }>
>["values"];

/** A command line that starts with a verb. */
interface ReadVerb<V extends string, T extends ParseArgsOptionsConfig> {
  readonly verb: V;
  /** Positional arguments after the verb. */
  readonly words: readonly string[];
  readonly values: Read<T>;
}

/**
 * Parses a command line that has only options.
 * @param options Those of the command, besides `--json` and `--help`.
 * @returns undefined if help was requested, which is then printed.
 */
export function readOptions<T extends ParseArgsOptionsConfig>(
  options: T,
  usage: string,
): Read<T> | undefined {
  return read(options, usage, false)?.values;
}

/**
 * Parses a command line that starts with a verb.
 * @param mostWords Maximum number of positional arguments of the verb.
 * @returns undefined if help was requested, or no verb was given: help is then printed.
 * @throws UsageProblem if the verb is unknown, or has too many arguments.
 */
export function readVerb<const V extends string, T extends ParseArgsOptionsConfig>(
  { verbs, options, mostWords }: VerbOptions<V, T>,
  usage: string,
): ReadVerb<V, T> | undefined {
  const found = read(options, usage, true);
  if (found === undefined) return undefined;
  const [given, ...words] = found.positionals;
  const verb = verbs.find((known) => known === given);
  if (verb === undefined) throw new UsageProblem(`There is no verb ${given}: use one of ${verbs.join(", ")}`);
  if (words.length > mostWords(verb))
    throw new UsageProblem(`Too many words after ${verb}: ${words.join(" ")}`);
  return { verb, words, values: found.values };
}

interface VerbOptions<V extends string, T extends ParseArgsOptionsConfig> {
  readonly verbs: readonly V[];
  readonly options: T;
  readonly mostWords: (verb: V) => number;
}

function read<T extends ParseArgsOptionsConfig>(options: T, usage: string, hasVerb: boolean) {
  const given = parseArgs({ options: { ...options, ...COMMON }, allowPositionals: hasVerb });
  // TypeScript cannot infer this through a generic type: these are the options passed to parseArgs.
  const values = given.values as Read<T>;
  if (!("help" in values && values.help) && (!hasVerb || given.positionals.length > 0))
    return { values, positionals: given.positionals };
  console.log(usage);
  return undefined;
}

/** The stack named by the options. @throws UsageProblem if none is named. */
export function stackIn({ stack }: { readonly stack?: string | undefined }, usage: string): string {
  if (stack !== undefined) return stack;
  throw new UsageProblem(`--stack is missing: which stack?\n\n${usage}`);
}

/** Directory of Pulumi.yaml: from `--cwd`, or this repository. */
export function projectIn({ cwd }: { readonly cwd?: string | undefined }): string {
  return cwd === undefined ? packageRoot() : fromCaller(cwd);
}
