/** Directories of runs, and how to find one. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fromCaller } from "../commandLine";
import { UsageProblem } from "../pulumi/openStack";
import { readSummary, SUMMARY_FILE, type Summary } from "./summary";

/** Ignored by this repository's .gitignore. */
const RESULTS = "bench-results";

export function resultsDirectory(project: string): string {
  return join(project, RESULTS);
}

/** Directory of a new run: `bench-results/<stack>/<time>-<load>`. */
export function runDirectory(project: string, stack: string, load: string, at: Date): string {
  const time = at
    .toISOString()
    .replace(/\.\d+Z$/, "Z")
    .replaceAll(":", "");
  // `organisation/project/stack` becomes one directory name.
  return join(resultsDirectory(project), stack.replaceAll("/", "_"), `${time}-${load}`);
}

/** A run and its directory. */
export interface FoundRun {
  readonly directory: string;
  readonly summary: Summary;
}

/** Where to look up a name from the command line. */
export interface Lookup {
  readonly project: string;
  /** Only runs of this load. Default: any. */
  readonly load?: string | undefined;
}

/**
 * The runs that an argument may refer to, newest first: a run's directory, or the name of a stack.
 * @throws UsageProblem if there is none.
 */
export function findRuns(word: string, { project, load }: Lookup): FoundRun[] {
  const directory = fromCaller(word);
  if (existsSync(join(directory, SUMMARY_FILE))) return [{ directory, summary: readSummary(directory) }];
  const ofStack = join(resultsDirectory(project), word.replaceAll("/", "_"));
  const found = (existsSync(ofStack) ? readdirSync(ofStack) : [])
    .sort()
    .reverse()
    .map((name) => join(ofStack, name))
    .filter((path) => existsSync(join(path, SUMMARY_FILE)))
    .map((path) => ({ directory: path, summary: readSummary(path) }))
    .filter(({ summary }) => load === undefined || summary.load.name === load);
  if (found.length > 0) return found;
  const what = load === undefined ? "run" : `run of the load ${load}`;
  throw new UsageProblem(
    `There is no ${what} of ${word}: it is neither a directory with a ${SUMMARY_FILE} nor a stack with runs in ${resultsDirectory(project)}. Make one: bin/dynamo-sky bench --stack ${word}`,
  );
}

/**
 * The two runs to compare: for two stacks, the newest of each with a common load; for the same stack twice,
 * its two newest with the same load.
 * @throws UsageProblem if there are no such two.
 */
export function findPair(words: readonly [string, string], lookup: Lookup): [FoundRun, FoundRun] {
  const [first, second] = words;
  const [as, bs] = [findRuns(first, lookup), findRuns(second, lookup)];
  for (const b of bs) {
    const a = as.find(
      ({ directory, summary }) =>
        directory !== b.directory &&
        summary.load.name === b.summary.load.name &&
        (first !== second || summary.startedAt < b.summary.startedAt),
    );
    if (a !== undefined) return [a, b];
  }
  throw new UsageProblem(
    `${first} and ${second} have no load in common that was run on both: ${loadsOf(as)}; ${loadsOf(bs)}.`,
  );
}

function loadsOf(runs: readonly FoundRun[]): string {
  return [...new Set(runs.map(({ summary }) => summary.load.name))].join(", ");
}
