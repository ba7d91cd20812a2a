/**
 * The same streamed requests on several ways to a model, in turns, so that other load on the machine affects
 * all equally. For what something in between costs.
 */
import { markdownTable, rounded } from "../../cli/bench/report";
import { spread } from "../../cli/bench/statistics";
import type { Progress } from "../../toolchain/index";
import type { Benchmark } from "./benchmark";
import { type Endpoint, sendStreams } from "./streams";
import { median, percentile } from "./timing";

/** Of every deployment. */
export const WORKERS = 2;
/** Tokens of every answer. */
export const ANSWER_TOKENS = 16;

/**
 * Clients, and requests of a run: enough that 1 % of those of five runs is more than one, and that clients
 * that are in step for a while do not decide a run (runs of 640 differed by 30 %).
 */
export const LOADS = [
  { clients: 1, requests: 50 },
  { clients: 32, requests: 3200 },
] as const;

/** Two simulated engines: the name of their stacks, their name in tables, and the mocker's arguments. */
export const ENGINES = [
  { stack: "simulated", title: "simulated", args: [] },
  // Makes the overhead in front of it visible. (0, which its help calls infinite, was no faster than 1.)
  { stack: "quick", title: "1,000 times as fast", args: ["--speedup-ratio", "1000"] },
] as const;
export type Engine = (typeof ENGINES)[number];
type Load = (typeof LOADS)[number];

/** A way to the model by its name. */
export interface Way {
  readonly name: string;
  readonly endpoint: Endpoint;
}

/** Measurements of one way, by run. */
interface Runs {
  readonly perSecond: number[];
  /** Of all requests. Unit: milliseconds. */
  readonly firstMs: number[];
}

/** Measurements of all ways with one load; the first way is what the others are compared with. */
export interface Cell {
  readonly engine: Engine;
  readonly load: Load;
  readonly ways: readonly { readonly name: string; readonly runs: Runs }[];
}

/**
 * Measures every load on every way.
 * @param repeats Runs of each way with each load, after one that does not count.
 * @throws Error if a request failed: times without the failures would be meaningless.
 */
export async function measureWays(
  engine: Engine,
  ways: readonly Way[],
  say: Progress,
  repeats: number,
): Promise<Cell[]> {
  const cells: Cell[] = [];
  for (const load of LOADS) {
    const measured = ways.map((way) => ({ ...way, runs: noRuns() }));
    for (const { endpoint } of measured) await measureOnce(endpoint, load, noRuns());
    for (let repeat = 0; repeat < repeats; repeat++) {
      // Each round starts with another one.
      const first = repeat % measured.length;
      for (const { name, endpoint, runs } of [...measured.slice(first), ...measured.slice(0, first)]) {
        await measureOnce(endpoint, load, runs);
        say(
          `[${repeat + 1} of ${repeats}] engine ${engine.title}, ${load.clients} clients, ${name}: ${rounded(runs.perSecond.at(-1) ?? 0)} requests/s`,
        );
      }
    }
    cells.push({ engine, load, ways: measured.map(({ name, runs }) => ({ name, runs })) });
  }
  return cells;
}

function noRuns(): Runs {
  return { perSecond: [], firstMs: [] };
}

async function measureOnce(endpoint: Endpoint, load: Load, runs: Runs): Promise<void> {
  const started = performance.now();
  const answers = await sendStreams(endpoint, { ...load, answerTokens: ANSWER_TOKENS });
  const seconds = (performance.now() - started) / 1000;
  const failed = answers.filter(({ isWhole }) => !isWhole);
  if (failed.length > 0)
    throw new Error(
      `${failed.length} of ${load.requests} requests to ${endpoint.url} failed: ${failed[0]?.problem}`,
    );
  runs.perSecond.push(load.requests / seconds);
  runs.firstMs.push(...answers.map(({ firstMs }) => firstMs));
}

/** The amounts, for a description. */
export function amounts(): string {
  return LOADS.map(({ clients, requests }) => `${requests} with ${clients}`).join(", ");
}

/** The whole result, with what was measured in front. */
export function resultOf(cells: readonly Cell[], explanation: string): Benchmark {
  return { text: [explanation, "", tableOf(cells)].join("\n"), rows: rowsOf(cells) };
}

/** Rows for programs. */
function rowsOf(cells: readonly Cell[]): Benchmark["rows"] {
  return cells.flatMap(({ engine, load, ways }) =>
    ways.map(({ name, runs: { perSecond, firstMs } }) => {
      const quantiles = { ttftP50Ms: quantile(firstMs, 0.5), ttftP99Ms: quantile(firstMs, 0.99) };
      return { engine: engine.title, ...load, way: name, requestsPerSecond: perSecond, ...quantiles };
    }),
  );
}

/** The table of docs/benchmarks.md. */
function tableOf(cells: readonly Cell[]): string {
  const against = `against ${cells[0]?.ways[0]?.name ?? ""}`;
  const header = ["engine", "clients", "way", "requests/s", against, "TTFT p50, ms", against, "TTFT p99, ms"];
  const rows = cells.flatMap(({ engine, load, ways }) =>
    ways.map(({ name, runs }, at) => {
      const change = (measure: (of: Runs) => number) =>
        at === 0 || ways[0] === undefined ? "" : percent(measure(runs) / measure(ways[0].runs) - 1);
      const [perSecond, p50] = [(of: Runs) => median(of.perSecond), (of: Runs) => median(of.firstMs)];
      return [
        ...[engine.title, String(load.clients), name, ranged(runs.perSecond), change(perSecond)],
        ...[rounded(p50(runs)), change(p50), rounded(quantile(runs.firstMs, 0.99))],
      ];
    }),
  );
  return markdownTable(header, rows, 3);
}

function percent(share: number): string {
  return `${share > 0 ? "+" : ""}${(share * 100).toFixed(1)} %`;
}

function ranged(values: readonly number[]): string {
  const found = spread(values);
  return found === undefined
    ? ""
    : `${rounded(found.median)} (${rounded(found.least)}–${rounded(found.most)})`;
}

/** The smallest value that is at least as large as this share of them. */
function quantile(values: readonly number[], share: number): number {
  return percentile(values, share) ?? Number.NaN;
}
