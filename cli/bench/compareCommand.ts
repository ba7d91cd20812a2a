/** `bin/dynamo-sky bench compare A B`. */
import { mkdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { EXIT } from "../commandLine";
import { chartLibraries } from "../vega";
import { chartSvg } from "./charts";
import { type ComparedRuns, compareRuns } from "./compare";
import type { Metric } from "./metrics";
import type { CompareOptions } from "./options";
import { COMPARED, comparisonReport } from "./report";
import { type FoundRun, findPair, resultsDirectory } from "./results";
import { CHARTS_FILE, REPORT_FILE } from "./runCommand";

export async function runCompare(options: CompareOptions): Promise<void> {
  await chartLibraries();
  const [a, b] = findPair(options.runs, { project: options.cwd, load: options.load });
  const compared = compareRuns(a.summary, b.summary);
  const directory = options.out ?? join(resultsDirectory(options.cwd), "compare", pairName(a, b));
  const report = comparisonReport(a.summary, b.summary, compared);
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, REPORT_FILE), report);
  await writeFile(join(directory, CHARTS_FILE), await chartSvg(distinct(a, b)));
  if (options.json) console.log(asJson(a, b, compared));
  else console.log(report);
  process.stderr.write(
    `Compared ${a.directory}\n    with ${b.directory}\nChart: ${join(directory, CHARTS_FILE)}\n`,
  );
  const isWorse = compared.overall.some(
    ({ metric, verdict }) => verdict === "worse" && COMPARED.includes(metric.key),
  );
  if (options.failIfWorse && isWorse) process.exitCode = EXIT.notAsWanted;
}

function pairName(a: FoundRun, b: FoundRun): string {
  const name = ({ directory, summary }: FoundRun) =>
    `${summary.stack.replaceAll("/", "_")}-${basename(directory)}`;
  return `${name(a)}--${name(b)}`;
}

/** Two runs with the same label need distinct names in a chart. */
function distinct(a: FoundRun, b: FoundRun) {
  if (a.summary.label !== b.summary.label) return [a.summary, b.summary];
  return [a, b].map(({ summary }) => ({ ...summary, label: `${summary.label} ${summary.startedAt}` }));
}

function asJson(a: FoundRun, b: FoundRun, { overall, comparisons, cautions }: ComparedRuns): string {
  const run = ({ directory, summary }: FoundRun) => ({
    directory,
    label: summary.label,
    stack: summary.stack,
  });
  const named = <T extends { readonly metric: Metric }>({ metric, ...rest }: T) => ({
    metric: metric.key,
    unit: metric.unit,
    ...rest,
  });
  const rows = { overall: overall.map(named), comparisons: comparisons.map(named) };
  return JSON.stringify({ a: run(a), b: run(b), load: a.summary.load.name, cautions, ...rows }, undefined, 2);
}
