/**
 * Every flag that a program of Dynamo 1.6.1 takes. The tables are what the programs' own parsers say: the
 * frontend's here, an engine's beside its file. `npm run test:engines -- flags` compares them, and `-u`
 * writes them anew.
 */
import frontend from "./flags/frontend.json";

/** What follows a flag; `exits`: it prints something, and the program ends. */
export type FlagValues = "none" | "one" | "JSON" | "at most one" | "several" | "exits";

/** The flags of one program. */
export interface FlagTable {
  readonly flags: Readonly<Record<string, FlagValues>>;
  /** Other spellings of a flag, obsolete ones and `--no-…` included. */
  readonly aliases: Readonly<Record<string, string>>;
  /** Environment variables that say the same as a flag. */
  readonly variables: Readonly<Record<string, string>>;
}

/** The JSON has these values as text: the test of the tables knows that there are no others. */
export const flagTable = (read: unknown): FlagTable => read as FlagTable;

/** The flags of `python3 -m dynamo.frontend`. */
export const FRONTEND_TABLE = flagTable(frontend);

/** The flag that a variable stands for; undefined if it stands for none. */
export function flagOfVariable({ variables }: FlagTable, name: string): string | undefined {
  return Object.hasOwn(variables, name) ? variables[name] : undefined;
}
