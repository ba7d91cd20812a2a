/**
 * `npm run benchmarks`: how long the demo, a no-op `up`, `preview` and planning take. Prints the tables of
 * docs/benchmarks.md. Clones the committed state of this repository and uses empty directories of its own, so that the
 * first demo is that of a newcomer; the caches of npm, uv and Go on this machine are the only thing that it does find.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { gatewayTable } from "./benchmarks/gateway";
import { labRows, ratioOf } from "./benchmarks/lab";
import { planningTable } from "./benchmarks/planning";
import { routingTable } from "./benchmarks/routing";
import { median, timed } from "./benchmarks/timing";
import { exitCodes, runTool, wholeNumber } from "./commandLine";
import { packageRoot } from "./toolchain/index";

const REPEATS = 5;
/** Of minutes each. */
const LAB_REPEATS = 3;
/** As few as show a difference at a level of 5 %. */
const ROUTING_REPEATS = 4;
const GATEWAY_REPEATS = 5;
const MOST_REPEATS = 20;
/** Of --routing: the test that judges them goes through all ways to deal them out. */
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
          seconds: await repeat(() => npm("stack", "--", "up", "--stack", "dev")),
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

function operationsTable(rows: readonly Row[]): string {
  const lines = rows.map(({ what, seconds }) => {
    const range = `${Math.min(...seconds).toFixed(1)}–${Math.max(...seconds).toFixed(1)}`;
    return `| ${what} | ${median(seconds).toFixed(1)} | ${range} | ${seconds.length} |`;
  });
  return ["| | median, s | range, s | runs |", "|---|---:|---:|---:|", ...lines].join("\n");
}

const usage = `Usage: npm run benchmarks [-- --lab [--runs N] | -- --routing [--runs N] | -- --gateway [--runs N]]

How fast this project itself is. (A deployment under load: npm run bench.)

  --lab      a deployment on SkyPilot instead, on the lab, which is started if it does not run; about three minutes a run
  --routing  time to first token with a KV-aware router and with round robin, on this machine; about four minutes a run
  --gateway  what the gateway costs, with and without TLS, on this machine; about a minute a run
  --runs N   how often (default: ${LAB_REPEATS}; of --routing ${ROUTING_REPEATS}; of --gateway ${GATEWAY_REPEATS})

${exitCodes({ ok: "measured", failed: "it failed" }, "the command is wrong")}`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      help: { type: "boolean", short: "h", default: false },
      lab: { type: "boolean", default: false },
      runs: { type: "string" },
      routing: { type: "boolean", default: false },
      gateway: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return;
  }
  const memory = (totalmem() / 2 ** 30).toFixed(0);
  console.log(`${cpus().length} cores (${cpus()[0]?.model}), ${memory} GiB, Node ${process.version}\n`);
  if (values.lab) {
    const limits = { least: 1, most: MOST_REPEATS };
    const runs = values.runs === undefined ? LAB_REPEATS : wholeNumber("--runs", values.runs, limits);
    const rows = await labRows(runs);
    console.log(`${operationsTable(rows)}\n`);
    console.log(`\`pulumi up\` takes ${ratioOf(rows).toFixed(2)} times as long as bare \`sky launch\`.`);
    return;
  }
  if (values.routing) {
    const limits = { least: 1, most: MOST_ROUTING_REPEATS };
    const runs = values.runs === undefined ? ROUTING_REPEATS : wholeNumber("--runs", values.runs, limits);
    console.log(await routingTable((line) => process.stderr.write(`${line}\n`), runs));
    return;
  }
  if (values.gateway) {
    const limits = { least: 1, most: MOST_REPEATS };
    const runs = values.runs === undefined ? GATEWAY_REPEATS : wholeNumber("--runs", values.runs, limits);
    console.log(await gatewayTable((line) => process.stderr.write(`${line}\n`), runs));
    return;
  }
  console.log(`${planningTable()}\n`);
  console.log(operationsTable(await operations()));
}

runTool(main, usage);
