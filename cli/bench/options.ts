/** The command line of `npm run bench`. */
import { existsSync } from "node:fs";
import { parseArgs } from "node:util";
import { packageRoot } from "../../toolchain/index";
import { exitCodes, fromCaller, oneOfTwo, wholeNumber } from "../commandLine";
import type { OutputsSource } from "../deployment/outputs";
import { UsageProblem } from "../pulumi/openStack";
import { LOAD_NAMES, LOADS, type LoadName } from "./loads";

const LIMIT_MINUTES = 10;
/** What a deployment is called of which only the outputs are known. */
const OUTPUTS_NAME = "deployment";
const MOST = {
  clients: 4096,
  repeats: 8,
  requests: 1_000_000,
  minutes: 600,
  seed: 2 ** 31 - 100_000,
} as const;

export const usage = `Usage: npm run bench -- --stack NAME [options]
       npm run bench -- --outputs FILE [options]
       npm run bench -- compare A B [options]

Sends a load to a running deployment with NVIDIA's aiperf, and writes tables and charts: time to first token (TTFT),
inter-token latency (ITL), throughput, and what each client gets against what each GPU gives. (How fast this project's own
commands are is another matter: npm run benchmarks.)

Loads
${LOAD_NAMES.map((name) => `  ${name.padEnd(15)}${LOADS[name].summary}`).join("\n")}

Options
  --stack, -s NAME     the stack, which has to be up
  --outputs FILE       instead: the stack's outputs as JSON ('npm run stack -- output --json --show-secrets'), for a machine that is
                       nearer to the endpoint than Pulumi's state; - is standard input, which keeps the key out of files
  --load, -l NAME      one of the loads (default: chat); may be given several times, or all
  --quick              a minute or so instead of many: fewer clients and requests, one repeat
  --clients N,N,…      numbers of concurrent clients, instead of the load's own
  --repeats N          how often each is measured, 1 to ${MOST.repeats}; 4 tell a difference from chance
  --requests N         measured requests of each run
  --seed N             of the prompts (default: a new one, so that no cache knows them)
  --tokenizer NAME     a model on the hub, or a directory, whose tokenizer measures the prompts (default: the model's)
  --ca FILE            certificates to trust (PEM), instead of the stack's output certificate
  --label TEXT         name in tables and charts (default: the stack's)
  --limit-minutes N    longest time for one run of aiperf (default: ${LIMIT_MINUTES})
  --out, -o DIR        where to write (default: bench-results/NAME/TIME-LOAD)
  --cwd, -C DIR        directory of Pulumi.yaml (default: this repository)
  --json               print summary.json instead of tables

compare: A and B are directories of runs, or stacks, of which the newest runs of the same load are taken
  --load, -l NAME      only runs of this load
  --fail-if-worse      exit with 3 when a figure of B is worse, over all numbers of clients, by more than chance
  --out, -o DIR        where to write the report and the chart (default: bench-results/compare)

${exitCodes(
  {
    ok: "it worked (failed requests are counted)",
    failed: "it failed, or every request did",
    notAsWanted: "compare --fail-if-worse: B is worse",
  },
  "the command is wrong",
)}`;

interface Common {
  /** Directory of Pulumi.yaml. */
  readonly cwd: string;
  readonly out: string | undefined;
  readonly json: boolean;
}

export interface RunOptions extends Common {
  readonly kind: "run";
  readonly source: OutputsSource;
  /** Name of the stack; of outputs from elsewhere, the label. */
  readonly stack: string;
  readonly loads: readonly LoadName[];
  readonly label: string;
  readonly quick: boolean;
  readonly clients: readonly number[] | undefined;
  readonly repeats: number | undefined;
  readonly requests: number | undefined;
  readonly seed: number | undefined;
  readonly tokenizer: string | undefined;
  readonly ca: string | undefined;
  readonly limitSeconds: number;
}

export interface CompareOptions extends Common {
  readonly kind: "compare";
  readonly runs: readonly [string, string];
  readonly load: LoadName | undefined;
  readonly failIfWorse: boolean;
}

/**
 * @returns undefined when only help was asked for.
 * @throws UsageProblem that says what is allowed.
 */
export function readOptions(argv: string[]): RunOptions | CompareOptions | undefined {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      stack: { type: "string", short: "s" },
      outputs: { type: "string" },
      load: { type: "string", short: "l", multiple: true },
      quick: { type: "boolean", default: false },
      clients: { type: "string" },
      repeats: { type: "string" },
      requests: { type: "string" },
      seed: { type: "string" },
      tokenizer: { type: "string" },
      ca: { type: "string" },
      label: { type: "string" },
      "limit-minutes": { type: "string" },
      "fail-if-worse": { type: "boolean", default: false },
      out: { type: "string", short: "o" },
      cwd: { type: "string", short: "C" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  const path = (given: string | undefined) => (given === undefined ? undefined : fromCaller(given));
  const common = { cwd: path(values.cwd) ?? packageRoot(), out: path(values.out), json: values.json };
  const [verb, ...words] = positionals;
  if (verb === "compare") {
    const [a, b, ...rest] = words;
    if (a === undefined || b === undefined || rest.length > 0)
      throw new UsageProblem(`compare needs two runs or stacks, and got ${words.length}.\n\n${usage}`);
    const loads = values.load === undefined ? [] : loadNames(values.load);
    if (loads.length > 1) throw new UsageProblem("compare takes one --load.");
    return { kind: "compare", ...common, runs: [a, b], load: loads[0], failIfWorse: values["fail-if-worse"] };
  }
  if (verb !== undefined)
    throw new UsageProblem(`There is no verb ${verb}: only compare is one.\n\n${usage}`);
  const source = oneOfTwo({ stack: values.stack, outputs: values.outputs }, usage);
  const { stack = values.label ?? OUTPUTS_NAME } = values;
  const number = (option: string, given: string | undefined, most: number) =>
    given === undefined ? undefined : wholeNumber(option, given, { least: 1, most });
  const ca = path(values.ca);
  if (ca !== undefined && !existsSync(ca)) throw new UsageProblem(`--ca ${ca}: there is no such file.`);
  const loads = loadNames(values.load ?? ["chat"]);
  if (loads.length > 1 && common.out !== undefined)
    throw new UsageProblem("--out takes the files of one load: leave it out, or name one --load.");
  return {
    kind: "run",
    ...common,
    ca,
    loads,
    source,
    stack,
    label: values.label ?? stack,
    quick: values.quick,
    clients: values.clients
      ?.split(",")
      .map((one) => wholeNumber("--clients", one, { least: 1, most: MOST.clients })),
    repeats: number("--repeats", values.repeats, MOST.repeats),
    requests: number("--requests", values.requests, MOST.requests),
    seed: number("--seed", values.seed, MOST.seed),
    tokenizer: values.tokenizer,
    limitSeconds: 60 * (number("--limit-minutes", values["limit-minutes"], MOST.minutes) ?? LIMIT_MINUTES),
  };
}

function loadNames(given: readonly string[]): LoadName[] {
  const names = given.flatMap((word) => (word === "all" ? LOAD_NAMES : [loadName(word)]));
  return [...new Set(names)];
}

function loadName(word: string): LoadName {
  const name = LOAD_NAMES.find((known) => known === word);
  if (name === undefined)
    throw new UsageProblem(`--load ${JSON.stringify(word)}: use ${LOAD_NAMES.join(", ")} or all.`);
  return name;
}
