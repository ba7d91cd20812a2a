/**
 * Every flag that a program of Dynamo 1.6.1 takes. The tables in `flags/` are what the programs' own parsers
 * say: `npm run test:engines -- flags` compares them, and `-u` writes them anew.
 */
import frontend from "./flags/frontend.json";
import mocker from "./flags/mocker.json";
import sglang from "./flags/sglang.json";
import trtllm from "./flags/trtllm.json";
import vllm from "./flags/vllm.json";

/** What follows a flag; `exits`: it prints something, and the program ends. */
export type FlagValues = "none" | "one" | "JSON" | "at most one" | "several" | "exits";

export interface FlagTable {
  readonly flags: Readonly<Record<string, FlagValues>>;
  /** Other spellings of a flag, obsolete ones and `--no-…` included. */
  readonly aliases: Readonly<Record<string, string>>;
  /** Environment variables that say the same as a flag. */
  readonly variables: Readonly<Record<string, string>>;
}

/** The JSON has these values as text: the test of the tables knows that there are no others. */
const table = (read: unknown): FlagTable => read as FlagTable;

/** By program: an engine's worker, or the frontend. */
export const FLAGS = {
  sglang: table(sglang),
  vllm: table(vllm),
  trtllm: table(trtllm),
  mocker: table(mocker),
  frontend: table(frontend),
} as const;

/** The flag that a variable stands for; undefined if it stands for none. */
export function flagOfVariable({ variables }: FlagTable, name: string): string | undefined {
  return Object.hasOwn(variables, name) ? variables[name] : undefined;
}
