/**
 * `npm run benchmarks`: how long the demo, a no-op `up`, `preview` and planning take. Prints the tables of
 * docs/benchmarks.md. Clones the committed state of this repository and uses new empty directories, so that
 * the first demo is that of a new user; only the caches of npm, uv and Go on this machine are reused.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { markdownTable } from "../cli/bench/report";
import { exitCodes, runTool, wholeNumber } from "../cli/commandLine";
import { readOptions } from "../cli/options";
import { UsageProblem } from "../cli/pulumi/problem";
import { packageRoot } from "../toolchain/index";
import type { Benchmark } from "./benchmarks/benchmark";
import { gatewayBenchmark } from "./benchmarks/gateway";
import { labRows, ratioOf } from "./benchmarks/lab";
import { planningBenchmark } from "./benchmarks/planning";
import { routingBenchmark } from "./benchmarks/routing";
import { median, timed } from "./benchmarks/timing";

const REPEATS = 5;
/** Each takes minutes. */
const LAB_REPEATS = 3;
/** The fewest that can show a difference at a level of 5 %. */
const ROUTING_REPEATS = 4;
const GATEWAY_REPEATS = 5;
const MOST_REPEATS = 20;
/** Limit for --routing: its significance test enumerates all permutations. */
const MOST_ROUTING_REPEATS = 8;

interface Row {
  readonly what: string;
  readonly seconds: readonly number[];
}

async function operations(): Promise<Row[]> {
  const scratch = mkdtempSync(join(tmpdir(), "dynamo-sky-benchmark-"));
  const clone = join(scratch, "clone");
  const env = {
    ...process.env,
    DYNAMO_SKY_CACHE: join(scratch, "cache"),
    DYNAMO_SKY_STATE: join(scratch, "state"),
  };
  const npm = (...args: string[]) => timed("npm", ["run", "--silent", ...args], { cwd: clone, env });
  const repeat = async (work: () => Promise<number>) => {
    const seconds: number[] = [];
    for (let run = 0; run < REPEATS; run++) seconds.push(await work());
    return seconds;
  };
  try {
    await timed("git", ["clone", "--quiet", packageRoot(), clone], { cwd: scratch, env });
    try {
      return [
        { what: "first `npm run demo`, nothing installed", seconds: [await npm("demo")] },
        { what: "`npm run demo` on the running cluster", seconds: await repeat(() => npm("demo")) },
        {
          what: "no-op `up`",
          seconds: await repeat(() => npm("stack", "--", "up", "--yes", "--stack", "dev")),
        },
        {
          what: "`preview`",
          seconds: await repeat(() => npm("stack", "--", "preview", "--stack", "dev")),
        },
      ];
    } finally {
      await npm("demo", "--", "--down");
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function operationsBenchmark(rows: readonly Row[]): Benchmark {
  const lines = rows.map(({ what, seconds }) => {
    const range = `${Math.min(...seconds).toFixed(1)}–${Math.max(...seconds).toFixed(1)}`;
    return [what, median(seconds).toFixed(1), range, String(seconds.length)];
  });
  const text = markdownTable(["", "median, s", "range, s", "runs"], lines);
  return { text, rows: rows.map((row) => ({ ...row })) };
}

const usage = `Usage: npm run benchmarks [-- --lab [--runs N] | -- --routing [--runs N] | -- --gateway [--runs N]]

How fast this project itself is. (A deployment under load: bin/dynamo-sky bench.)

  --lab      a deployment on SkyPilot instead, on the lab, which is started if it does not run; about three minutes a run
  --routing  time to first token with a KV-aware router and with round robin, on this machine; about four minutes a run
  --gateway  what the gateway costs, with and without TLS, on this machine; about a minute a run
  --json     print JSON: {machine,benchmarks:{NAME:[a row with every run]}}; progress goes to standard error in any case
  --runs N   how often (default: ${LAB_REPEATS}; of --routing ${ROUTING_REPEATS}; of --gateway ${GATEWAY_REPEATS})

${exitCodes({ ok: "measured", failed: "it failed" }, "the command is wrong")}`;

/** Benchmark of each option, and its default number of runs. */
const KINDS = {
  lab: { usual: LAB_REPEATS, most: MOST_REPEATS, measure: labBenchmark },
  routing: {
    usual: ROUTING_REPEATS,
    most: MOST_ROUTING_REPEATS,
    measure: (runs: number) => routingBenchmark(say, runs),
  },
  gateway: {
    usual: GATEWAY_REPEATS,
    most: MOST_REPEATS,
    measure: (runs: number) => gatewayBenchmark(say, runs),
  },
} as const;
const KIND_NAMES = ["lab", "routing", "gateway"] as const;

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

async function labBenchmark(runs: number): Promise<Benchmark> {
  const rows = await labRows(runs);
  const { text, rows: data } = operationsBenchmark(rows);
  const ratio = `\`pulumi up\` takes ${ratioOf(rows).toFixed(2)} times as long as bare \`sky launch\`.`;
  return { text: `${text}\n\n${ratio}`, rows: data };
}

async function measured(
  kind: (typeof KIND_NAMES)[number] | undefined,
  runs: string | undefined,
): Promise<Readonly<Record<string, Benchmark>>> {
  if (kind === undefined)
    return { planning: planningBenchmark(), operations: operationsBenchmark(await operations()) };
  const { usual, most, measure } = KINDS[kind];
  const count = runs === undefined ? usual : wholeNumber("--runs", runs, { least: 1, most });
  return { [kind]: await measure(count) };
}

const OPTIONS = {
  lab: { type: "boolean", default: false },
  routing: { type: "boolean", default: false },
  gateway: { type: "boolean", default: false },
  runs: { type: "string" },
} as const;

async function main(): Promise<void> {
  const values = readOptions(OPTIONS, usage);
  if (values === undefined) return;
  const [kind, ...others] = KIND_NAMES.filter((name) => values[name]);
  if (others.length > 0) throw new UsageProblem(`One at a time: --${kind} or --${others.join(", --")}.`);
  if (kind === undefined && values.runs !== undefined)
    throw new UsageProblem("--runs goes with --lab, --routing or --gateway.");
  const machine = {
    cores: cpus().length,
    processor: cpus()[0]?.model ?? "unknown",
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
  };
  const { cores, processor, memoryGiB, node } = machine;
  const heading = `${cores} cores (${processor}), ${memoryGiB} GiB, Node ${node}\n`;
  if (!values.json) console.log(heading);
  const found = await measured(kind, values.runs);
  if (!values.json) {
    console.log(
      Object.values(found)
        .map(({ text }) => text)
        .join("\n\n"),
    );
    return;
  }
  const benchmarks = Object.fromEntries(Object.entries(found).map(([name, { rows }]) => [name, rows]));
  console.log(JSON.stringify({ machine, benchmarks }, undefined, 2));
}

runTool(main, usage);
