/**
 * `bin/dynamo-sky bench --stack S`: measures a stack, and writes metrics, tables and charts to a directory.
 */

import { existsSync, readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { cpus, type as osType, release, totalmem } from "node:os";
import { join } from "node:path";
import { VERSIONS } from "../../config/versions";
import { isSimulated } from "../../engines";
import { cacheDir, type Progress, packageRoot } from "../../toolchain/index";
import { withLock } from "../../toolchain/install";
import { ensureHubModel, ensureModel, linkedModel, modelHome } from "../../toolchain/model";
import { fromCaller } from "../commandLine";
import { readOutputs } from "../deployment/outputs";
import { chartLibraries } from "../vega";
import { type Aiperf, ensureAiperf } from "./aiperf";
import { chartSvg } from "./charts";
import { adapted, LOADS, type LoadName } from "./loads";
import { measure, randomSeed } from "./measure";
import type { RunOptions } from "./options";
import { predicted } from "./predictor";
import { runReport } from "./report";
import { runDirectory } from "./results";
import { readSummary, SUMMARY_FILE, type Summary, summaryText } from "./summary";
import { type BenchTarget, checkAnswers, targetOf } from "./target";

export const REPORT_FILE = "report.md";
export const CHARTS_FILE = "charts.svg";
const MODEL_LOCK_SECONDS = 600;

/** Runs the loads one after the other; each is written and reported when it is done. */
export async function runLoads(options: RunOptions): Promise<void> {
  const say: Progress = (line) => process.stderr.write(`${line}\n`);
  // Missing ones are reported before minutes of load, not after them.
  await chartLibraries();
  const ca = options.ca === undefined ? undefined : readFileSync(options.ca, "utf8");
  const target = targetOf(await readOutputs(options.source, options.cwd, true), ca);
  const bench = await prepare(target, options, say);
  const summaries: Summary[] = [];
  for (const name of options.loads) {
    const directory = options.out ?? runDirectory(options.cwd, options.stack, name, new Date());
    const summary = await runLoad({ ...bench, options, target, say }, name, directory);
    summaries.push(summary);
    if (!options.json) console.log(runReport(summary));
    say(`Written to ${directory}: ${SUMMARY_FILE}, ${REPORT_FILE}, ${CHARTS_FILE}, and aiperf's own files`);
  }
  if (options.json)
    console.log(JSON.stringify(summaries.length === 1 ? summaries[0] : summaries, undefined, 2));
}

/** What every run needs. */
export interface Bench {
  readonly aiperf: Aiperf;
  readonly tokenizer: string;
  readonly hfHome: string;
}

/**
 * Prepares aiperf and the tokenizer, and checks that the endpoint answers.
 * @throws Error with the missing part, and what to do.
 */
export async function prepare(
  target: BenchTarget,
  options: { readonly tokenizer?: string | undefined },
  say: Progress,
): Promise<Bench> {
  await checkAnswers(target);
  const aiperf = await ensureAiperf(say);
  const directory = options.tokenizer === undefined ? "" : fromCaller(options.tokenizer);
  if (existsSync(directory)) {
    const { name, home } = await linkedModel(cacheDir(), directory);
    return { aiperf, tokenizer: name, hfHome: home };
  }
  const tokenizer = await fetchTokenizer(options.tokenizer ?? target.model, target, aiperf, say);
  return { aiperf, tokenizer, hfHome: modelHome(cacheDir()) };
}

/** @returns Its name in the hub's cache. */
async function fetchTokenizer(
  name: string,
  { engine }: BenchTarget,
  aiperf: Aiperf,
  say: Progress,
): Promise<string> {
  const cache = cacheDir();
  const lock = { purpose: "fetching a tokenizer", waitSeconds: MODEL_LOCK_SECONDS, onProgress: say };
  await withLock(join(cache, "locks", "model"), lock, async () => {
    if (isSimulated(engine)) return ensureModel(cache, aiperf.python, name, say);
    const found = await ensureHubModel(cache, aiperf.python, name, say);
    if (found !== undefined) return found;
    throw new Error(
      `The tokenizer of ${name} cannot be had from the hub, and without it prompts have no known length. ` +
        "Name another model of the same family, or a directory with its tokenizer: --tokenizer NAME",
    );
  });
  return name;
}

interface LoadContext extends Bench {
  readonly options: RunOptions;
  readonly target: BenchTarget;
  readonly say: Progress;
}

/** Runs one load, and writes all its results. */
async function runLoad(context: LoadContext, name: LoadName, directory: string): Promise<Summary> {
  const { options, target, say, aiperf, tokenizer, hfHome } = context;
  const load = adapted(LOADS[name], options);
  const started = new Date();
  await mkdir(directory, { recursive: true });
  const points = await measure({
    ...{ target, load, tokenizer, hfHome, directory },
    command: aiperf.command,
    seed: options.seed ?? randomSeed(),
    limitSeconds: options.limitSeconds,
    onProgress: say,
  });
  const { endpoint, model, engine, gpus, nodes, programs } = target;
  const measured = {
    stack: options.stack,
    label: options.label,
    startedAt: started.toISOString(),
    seconds: (Date.now() - started.getTime()) / 1000,
    quick: options.quick,
    load: { ...load, clients: [...load.clients] },
    deployment: { endpoint, model, engine, isSimulated: isSimulated(engine), gpus, nodes, programs },
    environment: environment(),
    points,
  };
  // First, for it was the work: whatever becomes of the prediction.
  await writeFile(join(directory, SUMMARY_FILE), summaryText(measured));
  const prediction = await predicted(target, measured, options.predict, say);
  if (prediction !== undefined)
    await writeFile(join(directory, SUMMARY_FILE), summaryText({ ...measured, prediction }));
  const summary = readSummary(directory);
  await writeFile(join(directory, REPORT_FILE), `${runReport(summary)}\n![Charts](${CHARTS_FILE})\n`);
  await writeFile(join(directory, CHARTS_FILE), await chartSvg([summary]));
  return summary;
}

function environment(): Summary["environment"] {
  const manifest: unknown = JSON.parse(readFileSync(join(packageRoot(), "package.json"), "utf8"));
  const isManifest = typeof manifest === "object" && manifest !== null && "version" in manifest;
  return {
    dynamoSky: isManifest ? String(manifest.version) : "unknown",
    aiperf: VERSIONS.aiperf,
    dynamo: VERSIONS.dynamo,
    node: process.version,
    system: `${osType()} ${release()}, ${cpus()[0]?.model ?? "unknown processor"}`,
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
  };
}
