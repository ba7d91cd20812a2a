/**
 * `npm run benchmarks -- --routing`: TTFT with a KV-aware router compared with a round-robin one, on requests
 * with long shared prefixes. Two deployments on this machine that differ in nothing else, with four workers
 * of Dynamo's mocker each, are measured in turns, so that other load on the machine affects both equally.
 */

import { join } from "node:path";
import { type Load, requestsOf, warmUpsOf } from "../../cli/bench/loads";
import { randomSeed } from "../../cli/bench/measure";
import type { Measured } from "../../cli/bench/metrics";
import { profile } from "../../cli/bench/profile";
import { markdownTable, rounded } from "../../cli/bench/report";
import { type Bench, prepare } from "../../cli/bench/runCommand";
import { pValue, type Spread, spread } from "../../cli/bench/statistics";
import { type BenchTarget, targetOf } from "../../cli/bench/target";
import type { ConfigInput } from "../../config/schema";
import { VERSIONS } from "../../config/versions";
import { SIMULATED } from "../../engines";
import type { Progress } from "../../toolchain/index";
import { freePorts } from "../freePorts";
import type { Benchmark } from "./benchmark";
import { type BenchmarkStacks, withBenchmarkStacks } from "./stacks";

const MODES = ["kv", "round-robin"] as const;
type Mode = (typeof MODES)[number];

const WORKERS = 4;
const BLOCK_TOKENS = 16;
/** Of each worker: 24,576 tokens, so that one worker holds 3/8 of the prefixes below, and four hold all. */
const CACHE_BLOCKS = 1536;
/** 64,000 tokens of prefixes each, so that the cache is equally small for both. */
const PREFIXES = [
  { count: 32, tokens: 2000 },
  { count: 8, tokens: 8000 },
] as const;
const CLIENTS = [1, 4] as const;
const REQUESTS = 128;
/** One run of aiperf takes a minute at most on a machine with two cores. */
const LIMIT_SECONDS = 300;

function loadWith(prefix: Load["prefix"]): Load {
  return {
    name: "shared-prefix",
    summary: "requests that share long beginnings",
    prompt: { mean: 50, stddev: 0 },
    ...(prefix && { prefix }),
    answer: { mean: 16, stddev: 0 },
    clients: CLIENTS,
    requestsPerClient: 0,
    leastRequests: REQUESTS,
    repeats: 1,
  };
}

/** A row of the table. */
interface Cell {
  readonly load: Load;
  readonly clients: number;
  readonly measured: Readonly<Record<Mode, Measured[]>>;
}

/**
 * Brings both deployments up, measures, and removes them, also on an interrupt.
 * @param repeats Of each cell of the table.
 * @returns A row for each load and mode, and a description.
 */
export function routingBenchmark(say: Progress, repeats: number): Promise<Benchmark> {
  return withBenchmarkStacks("dynamo-sky-routing", say, (stacks) => measureAll(stacks, say, repeats));
}

async function measureAll(stacks: BenchmarkStacks, say: Progress, repeats: number): Promise<Benchmark> {
  const targets = {
    kv: await bringUp("kv", stacks, say),
    "round-robin": await bringUp("round-robin", stacks, say),
  };
  const bench = await prepare(targets.kv, {}, say);
  const cells: Cell[] = PREFIXES.flatMap((prefix) =>
    CLIENTS.map((clients) => ({
      load: loadWith(prefix),
      clients,
      measured: { kv: [], "round-robin": [] },
    })),
  );
  const started = Date.now();
  const total = repeats * cells.length * MODES.length;
  let done = 0;
  for (let repeat = 1; repeat <= repeats; repeat++)
    // The order alternates between rounds.
    for (const { load, clients, measured } of cells)
      for (const mode of repeat % 2 === 1 ? MODES : MODES.toReversed()) {
        done += 1;
        const what = `[${done} of ${total}, ${Math.round((Date.now() - started) / 1000)} s] ${mode}, ${load.prefix?.tokens} tokens, ${clients} clients`;
        const one = await measureOnce({ load, clients, mode, target: targets[mode], bench, stacks, done });
        measured[mode].push(one);
        say(`${what}: TTFT p50 ${one.values.ttftP50?.toFixed(1)} ms of ${one.requests} requests`);
      }
  return { text: [explanation(repeats), "", tableOf(cells)].join("\n"), rows: cells.flatMap(rowsOf) };
}

function rowsOf({ load, clients, measured }: Cell): Benchmark["rows"] {
  return MODES.map((mode) => {
    const values = (key: "ttftP50" | "ttftP99") => measured[mode].map(({ values: metrics }) => metrics[key]);
    return { ...load.prefix, clients, mode, ttftP50Ms: values("ttftP50"), ttftP99Ms: values("ttftP99") };
  });
}

interface RunSpec {
  readonly load: Load;
  readonly clients: number;
  readonly mode: Mode;
  readonly target: BenchTarget;
  readonly bench: Bench;
  readonly stacks: BenchmarkStacks;
  /** Number of this run. */
  readonly done: number;
}

/** @throws Error if a request failed: times without the failures would be meaningless. */
async function measureOnce({ load, clients, mode, target, bench, stacks, done }: RunSpec): Promise<Measured> {
  const directory = join(stacks.directory, "aiperf", String(done));
  const spec = { load, clients, seed: randomSeed(), tokenizer: bench.tokenizer, directory };
  const measured = await profile(target, spec, {
    command: bench.aiperf.command,
    hfHome: bench.hfHome,
    limitSeconds: LIMIT_SECONDS,
    onRequests: () => undefined,
  });
  if (measured.errors > 0)
    throw new Error(`${measured.errors} requests to ${mode} failed: ${measured.error}`);
  return measured;
}

async function bringUp(mode: Mode, stacks: BenchmarkStacks, say: Progress): Promise<BenchTarget> {
  const config: ConfigInput = {
    target: "local",
    model: "Qwen/Qwen3-8B",
    engine: SIMULATED,
    engineArgs: ["--num-gpu-blocks-override", String(CACHE_BLOCKS)],
    router: { mode, blockSize: BLOCK_TOKENS },
    pools: [{ role: "aggregated", replicas: WORKERS }],
    ...(await freePorts()),
  };
  say(`Bringing up ${WORKERS} simulated workers, router mode ${mode}`);
  return targetOf(await stacks.bringUp(mode, config));
}

function explanation(repeats: number): string {
  const [first] = PREFIXES;
  const load = loadWith(first);
  return [
    `${WORKERS} workers of Dynamo ${VERSIONS.dynamo}'s ${SIMULATED}, each with a cache of ${CACHE_BLOCKS} blocks of ${BLOCK_TOKENS} tokens; aiperf ${VERSIONS.aiperf};`,
    `${requestsOf(load, 1)} requests a run after a warm-up of 2 for each beginning (${warmUpsOf(load, 1)} for ${first.count}), answers of ${load.answer.mean} tokens;`,
    `median of ${repeats} runs of each router in turns, in brackets the least and the most.`,
  ].join("\n");
}

/** The table of docs/benchmarks.md. */
function tableOf(cells: readonly Cell[]): string {
  const header = [
    ...["shared beginnings", "clients", "round robin, TTFT p50, ms", "KV-aware, TTFT p50, ms", "change", "p"],
    ...["round robin, p99, ms", "KV-aware, p99, ms"],
  ];
  const rows = cells.map(({ load, clients, measured }) => {
    const values = (mode: Mode, key: "ttftP50" | "ttftP99") =>
      measured[mode].flatMap(({ values: metrics }) => metrics[key] ?? []);
    const [kv, turns] = [values("kv", "ttftP50"), values("round-robin", "ttftP50")];
    const [after, before] = [spread(kv), spread(turns)];
    const change = ((after?.median ?? Number.NaN) / (before?.median ?? Number.NaN) - 1) * 100;
    return [
      `${load.prefix?.count} of ${load.prefix?.tokens.toLocaleString("en-US")} tokens`,
      ...[String(clients), ranged(before), ranged(after)],
      ...[`${change.toFixed(0)} %`, pValue([{ a: turns, b: kv }]).toFixed(3)],
      ...[median(values("round-robin", "ttftP99")), median(values("kv", "ttftP99"))],
    ];
  });
  return markdownTable(header, rows);
}

function ranged(found: Spread | undefined): string {
  if (found === undefined) return "";
  return `${rounded(found.median)} (${rounded(found.least)}–${rounded(found.most)})`;
}

function median(values: readonly number[]): string {
  const found = spread(values);
  return found === undefined ? "" : rounded(found.median);
}
