/**
 * `npm run benchmarks`: how long the demo, a no-op `up`, `preview` and planning take. Prints the tables of
 * docs/benchmarks.md. Clones the committed state of this repository and uses new empty directories, so that
 * the first demo is that of a new user; only the caches of npm, uv and Go on this machine are reused.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { markdownTable } from "../cli/bench/report";
import { json, verb } from "../cli/command";
import { exitCodes, runTool, wholeNumber } from "../cli/commandLine";
import { UsageProblem } from "../cli/pulumi/problem";
import { Progress } from "../lib/progress";
import { packageRoot } from "../toolchain/index";
import { autoscaleBenchmark, HERE, IN_THE_LAB } from "./benchmarks/autoscale";
import type { Benchmark } from "./benchmarks/benchmark";
import { gatewayBenchmark } from "./benchmarks/gateway";
import { labTimes } from "./benchmarks/lab";
import { planningBenchmark } from "./benchmarks/planning";
import { routingBenchmark } from "./benchmarks/routing";
import { median, timed } from "./benchmarks/timing";
import { tlsBenchmark } from "./benchmarks/tls";
import { SLURM_KIND } from "./lab/kinds";
import { borrowLab } from "./lab/session";

const REPEATS = 5;
/** Each takes minutes. */
const LAB_REPEATS = 3;
/** The fewest that can show a difference at a level of 5 %. */
const ROUTING_REPEATS = 4;
const GATEWAY_REPEATS = 5;
const TLS_REPEATS = 5;
const MOST_REPEATS = 20;
/** Limit for --routing: its significance test enumerates all permutations. */
const MOST_ROUTING_REPEATS = 8;

interface Row {
  readonly what: string;
  readonly seconds: readonly number[];
  /** In seconds, or in what it says; none if there is no goal. */
  readonly goal?: string;
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
        {
          what: "`npm run demo` on the running cluster",
          seconds: await repeat(() => npm("demo")),
          goal: "20",
        },
        {
          what: "no-op `up`",
          goal: "3",
          seconds: await repeat(() => npm("stack", "--", "up", "--yes", "--stack", "dev")),
        },
        {
          what: "`preview`",
          goal: "3",
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
  const lines = rows.map(({ what, seconds, goal = "" }) => {
    const range = `${Math.min(...seconds).toFixed(1)}–${Math.max(...seconds).toFixed(1)}`;
    return [what, median(seconds).toFixed(1), range, String(seconds.length), goal];
  });
  const text = markdownTable(["", "median, s", "range, s", "runs", "goal, s"], lines);
  return { text, rows: rows.map((row) => ({ ...row })) };
}

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
  autoscale: {
    usual: 1,
    most: 1,
    measure: (_: number, picture: string | undefined) => autoscaleBenchmark(HERE, say, picture),
  },
  autoscaleLab: {
    usual: 1,
    most: 1,
    measure: (_: number, picture: string | undefined) =>
      borrowLab(SLURM_KIND, "measuring on the lab", new Progress(), () =>
        autoscaleBenchmark(IN_THE_LAB, say, picture),
      ),
  },
  tls: { usual: TLS_REPEATS, most: MOST_REPEATS, measure: (runs: number) => tlsBenchmark(say, runs) },
} as const;
const KIND_NAMES = ["lab", "routing", "gateway", "tls", "autoscale", "autoscaleLab"] as const;

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

async function labBenchmark(runs: number): Promise<Benchmark> {
  const { rows, ratio, streams, lost } = await labTimes(runs);
  const { text, rows: data } = operationsBenchmark(rows);
  const told = [
    `\`pulumi up\` takes ${ratio.toFixed(2)} times as long as bare \`sky launch\`.`,
    `${streams} streams during the changes, ${lost.length} lost.`,
    ...lost.slice(0, 5),
  ];
  return { text: `${text}\n\n${told.join("\n")}`, rows: data };
}

/** What to measure, once the options are found to be right. */
function measurement(
  kind: (typeof KIND_NAMES)[number] | undefined,
  runs: string | undefined,
  picture: string | undefined,
): () => Promise<Readonly<Record<string, Benchmark>>> {
  if (kind === undefined)
    return async () => ({
      planning: planningBenchmark(),
      operations: operationsBenchmark(await operations()),
    });
  const { usual, most, measure } = KINDS[kind];
  const count = runs === undefined ? usual : wholeNumber("--runs", runs, { least: 1, most });
  return async () => ({ [kind]: await measure(count, picture) });
}

interface Options extends Readonly<Record<(typeof KIND_NAMES)[number], boolean>> {
  readonly runs?: string | undefined;
  readonly picture?: string | undefined;
  readonly json: boolean;
}

async function benchmark(values: Options): Promise<void> {
  const [kind, ...others] = KIND_NAMES.filter((name) => values[name]);
  if (others.length > 0) throw new UsageProblem(`One at a time: --${kind} or --${others.join(", --")}.`);
  if (kind === undefined && values.runs !== undefined)
    throw new UsageProblem("--runs goes with --lab, --routing, --gateway or --tls.");
  if (kind !== "autoscale" && kind !== "autoscaleLab" && values.picture !== undefined)
    throw new UsageProblem("--picture goes with --autoscale and --autoscale-lab.");
  const measure = measurement(kind, values.runs, values.picture);
  const machine = {
    cores: cpus().length,
    processor: cpus()[0]?.model ?? "unknown",
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
  };
  const { cores, processor, memoryGiB, node } = machine;
  const heading = `${cores} cores (${processor}), ${memoryGiB} GiB, Node ${node}\n`;
  if (!values.json) console.log(heading);
  const found = await measure();
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

runTool(
  verb(
    "npm run benchmarks --",
    "How fast this project itself is. (A deployment under load: bin/dynamo-sky bench.)",
    exitCodes({ ok: "measured", failed: "it failed" }, "the command is wrong"),
  )
    .option(
      "--lab",
      "a deployment on SkyPilot instead, on the lab, which is started if it does not run; about three minutes a run",
      false,
    )
    .option(
      "--routing",
      "time to first token with a KV-aware router and with round robin, on this machine; about four minutes a run",
      false,
    )
    .option(
      "--gateway",
      "what the gateway costs, with and without TLS, on this machine; about a minute a run",
      false,
    )
    .option(
      "--tls",
      "what TLS between Dynamo's processes costs, on this machine; about a minute a run",
      false,
    )
    .option(
      "--autoscale",
      "as many workers as three waves of load need, by NVIDIA's planner and the operator, on this machine; about eight minutes",
      false,
    )
    .option(
      "--autoscale-lab",
      "the same on the lab, each worker on a cluster of its own; about twenty minutes",
      false,
    )
    .option("--picture <file>", "where to write the chart of --autoscale, SVG (default: none is drawn)")
    .option(
      "--runs <n>",
      `how often (default: ${LAB_REPEATS}; of --routing ${ROUTING_REPEATS}; of --gateway ${GATEWAY_REPEATS}; of --tls ${TLS_REPEATS})`,
    )
    .addOption(json("{machine,benchmarks:{NAME:[a row with every run]}}; progress goes to standard error"))
    .action(benchmark),
);
