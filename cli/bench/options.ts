/** The command line of `dynamo-sky bench`. */
import { existsSync } from "node:fs";
import { CWD, collect, json, STACK, STATE, verb } from "../command";
import { exitCodes, fromCaller, oneOfTwo, wholeNumber } from "../commandLine";
import type { OutputsSource } from "../deployment/outputs";
import { UsageProblem } from "../pulumi/problem";
import { LOAD_NAMES, LOADS, type LoadName } from "./loads";

const LIMIT_MINUTES = 10;
/** Name of a deployment if only its outputs are known. */
const OUTPUTS_NAME = "deployment";
const MOST = {
  clients: 4096,
  repeats: 8,
  requests: 1_000_000,
  minutes: 600,
  seed: 2 ** 31 - 100_000,
} as const;

interface Common {
  /** Directory of Pulumi.yaml. */
  readonly cwd: string;
  readonly out: string | undefined;
  readonly json: boolean;
}

export interface RunOptions extends Common {
  readonly kind: "run";
  readonly source: OutputsSource;
  /** Name of the stack; for outputs from elsewhere, the label. */
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
  /** Whether AIConfigurator is asked too; undefined: if it is installed. */
  readonly predict: boolean | undefined;
  readonly limitSeconds: number;
}

export interface CompareOptions extends Common {
  readonly kind: "compare";
  readonly runs: readonly [string, string];
  readonly load: LoadName | undefined;
  readonly failIfWorse: boolean;
}

/** Handlers of a valid command line. */
interface Handlers {
  readonly run: (options: RunOptions) => Promise<void>;
  readonly compare: (options: CompareOptions) => Promise<void>;
}

const DESCRIPTION = `Sends a load to a running deployment with NVIDIA's aiperf, and writes tables and charts: time to first token (TTFT),
inter-token latency (ITL), throughput, and what each client gets against what each GPU gives.

Loads
${LOAD_NAMES.map((name) => `  ${name.padEnd(15)}${LOADS[name].summary}`).join("\n")}`;

const EXITS = exitCodes(
  { ok: "it worked (failed requests are counted)", failed: "it failed, or every request did" },
  "the command is wrong",
);

/** `bench`, and `bench compare A B`. */
export function benchCommand({ run, compare }: Handlers) {
  const command = verb("bench", DESCRIPTION, EXITS)
    .enablePositionalOptions()
    .addOption(STACK)
    .addOption(STATE)
    .option("-l, --load <name>", "one of the loads, or all; repeatable (default: chat)", collect)
    .option("--quick", "a minute or so instead of many: fewer clients and requests, one repeat", false)
    .option("--clients <n,n,…>", "numbers of concurrent clients, instead of the load's own", clientsOf)
    .option(
      "--repeats <n>",
      `how often each is measured, 1 to ${MOST.repeats}; 4 tell a difference from chance`,
      number("--repeats", MOST.repeats),
    )
    .option("--requests <n>", "measured requests of each run", number("--requests", MOST.requests))
    .option(
      "--seed <n>",
      "of the prompts (default: a new one, so that no cache knows them)",
      number("--seed", MOST.seed),
    )
    .option("--tokenizer <name>", "a model on the hub, or a directory, whose tokenizer measures the prompts")
    .option("--ca <file>", "certificates to trust (PEM), instead of the stack's output certificate", existing)
    .option("--predict", "install AIConfigurator for the prediction beside the numbers, if it is not there")
    .option("--no-predict", "no prediction")
    .option("--label <text>", "name in tables and charts (default: the stack's)")
    .option(
      "--limit-minutes <n>",
      "longest time for one run of aiperf",
      number("--limit-minutes", MOST.minutes),
      LIMIT_MINUTES,
    )
    .option("-o, --out <dir>", "where to write (default: bench-results/NAME/TIME-LOAD)", fromCaller)
    .addOption(CWD)
    .addOption(json("summary.json instead of tables"))
    .action(({ load, limitMinutes, ...given }) => {
      const loads = loadNames(load ?? ["chat"]);
      if (loads.length > 1 && given.out !== undefined)
        throw new UsageProblem("--out takes the files of one load: leave it out, or name one --load.");
      const source = oneOfTwo(given);
      const stack = given.stack ?? given.label ?? OUTPUTS_NAME;
      return run({
        kind: "run",
        cwd: given.cwd,
        out: given.out,
        json: given.json,
        ca: given.ca,
        predict: given.predict,
        loads,
        source,
        stack,
        label: given.label ?? stack,
        quick: given.quick,
        clients: given.clients,
        repeats: given.repeats,
        requests: given.requests,
        seed: given.seed,
        tokenizer: given.tokenizer,
        limitSeconds: 60 * limitMinutes,
      });
    });
  command.addCommand(compareCommand(compare));
  return command;
}

function compareCommand(compare: Handlers["compare"]) {
  return verb(
    "compare",
    "Compares two runs: directories, or stacks, of which the newest runs of the same load are taken.",
    exitCodes(
      { ok: "compared", failed: "it failed", notAsWanted: "B is worse (--fail-if-worse)" },
      "the command is wrong",
    ),
  )
    .summary("whether two runs differ by more than chance")
    .argument("<a>", "a directory of a run, or a stack")
    .argument("<b>", "the one that is held against it")
    .option("-l, --load <name>", "only runs of this load", loadName)
    .option(
      "--fail-if-worse",
      "exit with 3 when a metric of B is worse, over all numbers of clients, by more than chance",
      false,
    )
    .option(
      "-o, --out <dir>",
      "where to write the report and the chart (default: bench-results/compare)",
      fromCaller,
    )
    .addOption(CWD)
    .addOption(json("{a,b,load,cautions,overall,comparisons} instead of tables"))
    .action((a, b, { cwd, out, json: isJson, load, failIfWorse }) =>
      compare({ kind: "compare", cwd, out, json: isJson, runs: [a, b], load, failIfWorse }),
    );
}

function number(option: string, most: number) {
  return (written: string): number => wholeNumber(option, written, { least: 1, most });
}

function clientsOf(written: string): number[] {
  return written.split(",").map(number("--clients", MOST.clients));
}

function existing(written: string): string {
  const file = fromCaller(written);
  if (existsSync(file)) return file;
  throw new UsageProblem(`--ca ${file}: there is no such file.`);
}

function loadNames(given: readonly string[]): LoadName[] {
  const names = given.flatMap((word) =>
    word === "all" ? LOAD_NAMES : [oneOfLoads(word, [...LOAD_NAMES, "all"])],
  );
  return [...new Set(names)];
}

function loadName(word: string): LoadName {
  return oneOfLoads(word, LOAD_NAMES);
}

function oneOfLoads(word: string, allowed: readonly string[]): LoadName {
  const name = LOAD_NAMES.find((known) => known === word);
  if (name !== undefined) return name;
  throw new UsageProblem(
    `--load ${JSON.stringify(word)}: use ${allowed.slice(0, -1).join(", ")} or ${allowed.at(-1)}.`,
  );
}
