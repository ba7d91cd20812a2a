/** The options of `dynamo-sky size`, checked together: all problems at once, each named by its option. */
import { existsSync } from "node:fs";
import { basename, dirname } from "node:path";
import { ConfigError, formatProblems } from "../../config/problems";
import { didYouMean, nearest } from "../../config/values";
import { realEngines } from "../../engines";
import { messageOf } from "../../lib/run";
import { parseConfig } from "../../plan/config";
import { wholeNumberIn } from "../commandLine";
import { UsageProblem } from "../pulumi/problem";
import { ACCELERATORS, GPUS_OF_A_NODE } from "./accelerators";
import type { Need } from "./need";
import type { SharedPrefixes } from "./prefixes";
import { readTrace, type Trace } from "./trace";

/** As written. */
export interface Written {
  readonly model?: string | undefined;
  readonly isl?: string | undefined;
  readonly osl?: string | undefined;
  /** Tokens that prompts share at their beginning, and how many such beginnings there are. */
  readonly sharedPrefix?: string | undefined;
  readonly prefixes?: string | undefined;
  /** Instead of all these. */
  readonly trace?: string | undefined;
  readonly ttft: string;
  readonly tpot: string;
  readonly gpus?: string | undefined;
  readonly rate?: string | undefined;
  readonly concurrency?: string | undefined;
  readonly engine?: readonly string[] | undefined;
  readonly accelerator?: readonly string[] | undefined;
  readonly price?: readonly string[] | undefined;
  readonly infra?: readonly string[] | undefined;
  readonly choose?: string | undefined;
  readonly write?: string | undefined;
  readonly chart?: string | undefined;
}

export interface SizeOptions {
  readonly model: string;
  /** Tokens of a prompt, and of its answer. */
  readonly isl: number;
  readonly osl: number;
  /** Where they are from; undefined if they were said. */
  readonly trace: Trace | undefined;
  /** Undefined if nothing was said of them. */
  readonly shared: SharedPrefixes | undefined;
  /** Milliseconds until the first token, and for each of the others. */
  readonly ttft: number;
  readonly tpot: number;
  readonly need: Need;
  readonly engines: readonly string[];
  readonly accelerators: readonly string[];
  /** US dollars an hour for a GPU, by accelerator; {@link ANY} is for all others. */
  readonly prices: Readonly<Record<string, number>>;
  readonly infra: readonly string[];
  /** Row of the table, from 1. */
  readonly choose: number;
  readonly write: string | undefined;
  /** Where to draw a picture. */
  readonly chart: string | undefined;
}

export const ANY = "*";

/** Tokens of a prompt and of an answer, unless something else is said. */
export const LENGTHS = { isl: "4000", osl: "500" } as const;

/** Of one token there is none after the first, for which AIConfigurator has a time. */
export const LEAST_ANSWER = 2;

const LIMITS = {
  tokens: { least: 1, most: 1_000_000 },
  answer: { least: LEAST_ANSWER, most: 1_000_000 },
  prefixes: { least: 1, most: 100_000 },
  milliseconds: { least: 1, most: 600_000 },
  gpus: { least: 1, most: 1024 },
  rate: { least: 0, most: 100_000 },
  requests: { least: 1, most: 1_000_000 },
  dollars: { least: 0, most: 10_000 },
  row: { least: 1, most: 1000 },
} as const;

/** @throws UsageProblem with every problem, one a line. */
export function checkedOptions(written: Written): SizeOptions {
  const problems: string[] = [];
  const whole = (option: string, text: string | undefined, limits: Limits): number => {
    const number = wholeNumberIn(text ?? "", limits);
    if (number !== undefined) return number;
    problems.push(
      text === undefined
        ? `${option} is missing. Allowed: a whole number from ${limits.least} to ${limits.most}.`
        : `${option} ${JSON.stringify(text)} is not a whole number from ${limits.least} to ${limits.most}.`,
    );
    return limits.least;
  };
  const some = (option: string, asked: readonly string[] | undefined, all: readonly string[]) => {
    for (const name of asked ?? [])
      if (!all.includes(name))
        problems.push(
          `${option} ${JSON.stringify(name)} is not known here. Allowed: ${all.join(", ")}.${didYouMean(all.find((one) => one.startsWith(name)) ?? nearest(name, all))}`,
        );
    return [...new Set(asked ?? all)];
  };
  if (!written.model?.trim())
    problems.push("--model is missing. Allowed: its name on the hub, such as Qwen/Qwen3-8B.");
  const lengths = lengthsOf(written, whole, problems);
  const options: SizeOptions = {
    model: written.model ?? "",
    ...lengths,
    shared: sharedOf(written, lengths.isl, whole, problems),
    ttft: whole("--ttft", written.ttft, LIMITS.milliseconds),
    tpot: whole("--tpot", written.tpot, LIMITS.milliseconds),
    need: needOf(written, whole, problems),
    engines: some("--engine", written.engine, realEngines()),
    accelerators: some("--accelerator", written.accelerator, Object.keys(ACCELERATORS)),
    prices: pricesOf(written.price ?? [], problems),
    infra: written.infra ?? [],
    choose: whole("--choose", written.choose ?? "1", LIMITS.row),
    write: written.write,
    chart: written.chart,
  };
  if (written.choose !== undefined && written.write === undefined)
    problems.push(
      "--choose says which layout is written. Say --write Pulumi.NAME.yaml too, or leave it out.",
    );
  if (written.model?.trim()) problems.push(...settingProblems(options));
  problems.push(...stackFileProblems(written.write), ...chartProblems(options));
  if (problems.length > 0) throw new UsageProblem(problems.join("\n"));
  return options;
}

/** What any stack with this model on this infra would be refused for. */
function settingProblems({ model, infra }: SizeOptions): string[] {
  try {
    parseConfig({ model, pools: [{ role: "aggregated" }], sky: { infra: [...infra] } });
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map((problem) => {
      const [key, section] = problem.path;
      const option = key === "model" ? "--model" : section === "infra" ? "--infra" : undefined;
      return option === undefined ? formatProblems([problem]) : `${option}: ${problem.message}`;
    });
  }
}

type Whole = (option: string, text: string | undefined, limits: Limits) => number;

/** As said, or the means of a trace. */
function lengthsOf({ isl, osl, trace }: Written, whole: Whole, problems: string[]) {
  const said = {
    isl: whole("--isl", isl ?? LENGTHS.isl, LIMITS.tokens),
    osl: whole("--osl", osl ?? LENGTHS.osl, LIMITS.answer),
    trace: undefined,
  };
  if (trace === undefined) return said;
  if (isl !== undefined || osl !== undefined)
    problems.push("--trace has the lengths of prompts and answers: leave out --isl and --osl, or it.");
  try {
    const read = readTrace(trace);
    if (read.osl < LIMITS.answer.least)
      problems.push(
        `--trace ${JSON.stringify(trace)} has answers of ${read.osl} token in the mean. Allowed: at least ${LIMITS.answer.least}.`,
      );
    return { isl: read.isl, osl: read.osl, trace: read };
  } catch (error) {
    problems.push(`--trace ${JSON.stringify(trace)} cannot be used: ${messageOf(error)}.`);
    return said;
  }
}

function sharedOf({ sharedPrefix, prefixes, trace }: Written, isl: number, whole: Whole, problems: string[]) {
  if (sharedPrefix === undefined && prefixes === undefined) return undefined;
  if (trace !== undefined) {
    problems.push("--trace says itself what prompts share: leave out --shared-prefix and --prefixes, or it.");
    return undefined;
  }
  const tokens = whole("--shared-prefix", sharedPrefix, LIMITS.tokens);
  if (sharedPrefix !== undefined && tokens >= isl)
    problems.push(
      `--shared-prefix ${tokens} is not shorter than the prompts, which have ${isl} tokens with it. Allowed: less than --isl.`,
    );
  return { tokens, count: whole("--prefixes", prefixes, LIMITS.prefixes) };
}

/** GPUs, or a load; GPUs where neither is said right. */
function needOf({ gpus, rate, concurrency }: Written, whole: Whole, problems: string[]): Need {
  const said = Object.entries({ "--gpus": gpus, "--rate": rate, "--concurrency": concurrency }).filter(
    ([, value]) => value !== undefined,
  );
  if (said.length !== 1) {
    const found =
      said.length === 0 ? "none of them is there" : `there are ${said.map(([name]) => name).join(", ")}`;
    problems.push(
      `Say one of --gpus (GPUs that there are), --rate (requests/s) and --concurrency (requests at a time): ${found}.`,
    );
  }
  if (rate !== undefined) return { rate: rateOf(rate, problems) };
  if (concurrency !== undefined) return { concurrency: whole("--concurrency", concurrency, LIMITS.requests) };
  const count = gpus === undefined ? LIMITS.gpus.least : whole("--gpus", gpus, LIMITS.gpus);
  if (count > GPUS_OF_A_NODE && count % GPUS_OF_A_NODE !== 0)
    problems.push(
      `--gpus ${count} leaves GPUs of the last node idle. Allowed: 1 to ${GPUS_OF_A_NODE}, or a multiple of ${GPUS_OF_A_NODE}.`,
    );
  return { gpus: count };
}

function rateOf(written: string, problems: string[]): number {
  const { least, most } = LIMITS.rate;
  const rate = Number(written);
  if (written.trim() === "" || !(rate > least && rate <= most))
    problems.push(
      `--rate ${JSON.stringify(written)} is no rate. Allowed: requests a second, more than ${least}, at most ${most}.`,
    );
  return rate;
}

/** Before anything is asked, which takes minutes. */
function stackFileProblems(write: string | undefined): string[] {
  if (write === undefined) return [];
  if (!STACK_FILE.test(basename(write)))
    return [`--write ${JSON.stringify(write)} is no stack's file. Allowed: Pulumi.NAME.yaml.`];
  return newFileProblems("--write", write);
}

function chartProblems({ chart, prices, infra, accelerators }: SizeOptions): string[] {
  if (chart === undefined) return [];
  if (!/.\.svg$/.test(basename(chart)))
    return [`--chart ${JSON.stringify(chart)} is no picture's file. Allowed: NAME.svg.`];
  const isPriced = infra.length > 0 || [...accelerators, ANY].some((name) => Object.hasOwn(prices, name));
  const none =
    Object.keys(prices).length === 0 ? "" : `, and those of --price are not of ${accelerators.join(", ")}`;
  const unpriced = isPriced
    ? []
    : [`--chart draws prices${none}: say --price (dollars an hour for a GPU), or --infra.`];
  return [...unpriced, ...newFileProblems("--chart", chart)];
}

function newFileProblems(option: string, file: string): string[] {
  if (existsSync(file)) return [overwrites(option, file)];
  if (!existsSync(dirname(file))) return [`${option} ${JSON.stringify(file)}: there is no such directory.`];
  return [];
}

const STACK_FILE = /^Pulumi\.[A-Za-z0-9_][\w.-]{0,99}\.yaml$/;

export function overwrites(option: string, file: string): string {
  return `${option} ${JSON.stringify(file)} is there already, and nothing is overwritten. Name another file, or remove it.`;
}

interface Limits {
  readonly least: number;
  readonly most: number;
}

/** `2.5` is for all accelerators, `H100=2.5` for one. */
function pricesOf(written: readonly string[], problems: string[]): Readonly<Record<string, number>> {
  const { least, most } = LIMITS.dollars;
  const pairs = written.flatMap((text): [string, number][] => {
    const [, name = ANY, number = ""] = /^(?:([^=]*)=)?(.*)$/.exec(text) ?? [];
    const price = Number(number);
    if (number.trim() === "" || !(price > least && price <= most)) {
      problems.push(
        `--price ${JSON.stringify(text)} is no price. Allowed: US dollars an hour for one GPU, more than ${least}, at most ${most}, such as 2.50, or H100=2.50 for one accelerator.`,
      );
      return [];
    }
    if (name !== ANY && !Object.hasOwn(ACCELERATORS, name)) {
      problems.push(
        `--price ${JSON.stringify(text)} is of an accelerator that is not known here. Allowed: ${Object.keys(ACCELERATORS).join(", ")}.`,
      );
      return [];
    }
    return [[name, price]];
  });
  const names = pairs.map(([name]) => name);
  for (const name of new Set(names.filter((one, at) => names.indexOf(one) !== at)))
    problems.push(
      `--price says more than one price ${name === ANY ? "for all accelerators" : `for ${name}`}. Allowed: one for each.`,
    );
  return Object.fromEntries(pairs);
}
