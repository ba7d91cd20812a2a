/**
 * `npm run benchmarks -- --gateway`: the cost of the gateway, with TLS and without. Two deployments on this
 * machine that differ in TLS only; the same streamed requests are sent to both gateways and, bypassing one of
 * them, to its frontend, in turns, so that other load on the machine affects all equally. (That no request is
 * lost or wrongly accepted under load is a test: test/dynamo/gatewayLoad.test.ts.)
 */

import { markdownTable, rounded } from "../../cli/bench/report";
import { spread } from "../../cli/bench/statistics";
import { deploymentOf } from "../../cli/deployment/running";
import type { ConfigInput } from "../../config/schema";
import { VERSIONS } from "../../config/versions";
import type { Progress } from "../../toolchain/index";
import { freePorts } from "../freePorts";
import type { Benchmark } from "./benchmark";
import { type BenchmarkStacks, withBenchmarkStacks } from "./stacks";
import { type Endpoint, sendStreams } from "./streams";
import { median } from "./timing";

const WAYS = ["direct", "gateway", "gateway with TLS"] as const;
type Way = (typeof WAYS)[number];

const WORKERS = 2;
const ANSWER_TOKENS = 16;
/**
 * Clients, and requests of a run: enough that 1 % of those of five runs is more than one, and that clients
 * that are in step for a while do not decide a run (runs of 640 differed by 30 %).
 */
const LOADS = [
  { clients: 1, requests: 50 },
  { clients: 32, requests: 3200 },
] as const;
const ENGINES = [
  { stack: "simulated", title: "simulated", args: [] },
  // Makes the overhead in front of it visible. (0, which its help calls infinite, was no faster than 1.)
  { stack: "quick", title: "1,000 times as fast", args: ["--speedup-ratio", "1000"] },
] as const;
type Engine = (typeof ENGINES)[number];
type Load = (typeof LOADS)[number];

/** Measurements of one path, by run. */
interface Runs {
  readonly perSecond: number[];
  /** Of all requests. Unit: milliseconds. */
  readonly firstMs: number[];
}

/** A row of the table, for one path. */
interface Cell {
  readonly engine: Engine;
  readonly load: Load;
  readonly runs: Readonly<Record<Way, Runs>>;
}

/**
 * Brings the deployments up, measures, and removes them, also on an interrupt.
 * @param repeats Of each cell of the table.
 * @returns A row for each engine, load and path, and a description.
 */
export function gatewayBenchmark(say: Progress, repeats: number): Promise<Benchmark> {
  return withBenchmarkStacks("dynamo-sky-gateway", say, async (stacks) => {
    const cells: Cell[] = [];
    for (const engine of ENGINES) cells.push(...(await measureEngine(engine, stacks, say, repeats)));
    return { text: [explanation(repeats), "", tableOf(cells)].join("\n"), rows: cells.flatMap(rowsOf) };
  });
}

function rowsOf({ engine, load, runs }: Cell): Benchmark["rows"] {
  return WAYS.map((way) => {
    const { perSecond, firstMs } = runs[way];
    const quantiles = { ttftP50Ms: quantile(firstMs, 0.5), ttftP99Ms: quantile(firstMs, 0.99) };
    return { engine: engine.title, ...load, way, requestsPerSecond: perSecond, ...quantiles };
  });
}

async function measureEngine(
  engine: Engine,
  stacks: BenchmarkStacks,
  say: Progress,
  repeats: number,
): Promise<Cell[]> {
  say(`Bringing up two deployments whose engine is: ${engine.title}`);
  const plain = await bringUp(engine, "off", stacks);
  const tls = await bringUp(engine, "generated", stacks);
  const endpoints: Readonly<Record<Way, Endpoint>> = {
    direct: plain.frontend,
    gateway: plain.gateway,
    "gateway with TLS": tls.gateway,
  };
  const cells: Cell[] = [];
  for (const load of LOADS) {
    const runs = { direct: noRuns(), gateway: noRuns(), "gateway with TLS": noRuns() };
    for (const way of WAYS) await measureOnce(endpoints[way], load, noRuns());
    for (let repeat = 0; repeat < repeats; repeat++)
      // Each round starts with another one.
      for (const way of [...WAYS.slice(repeat % WAYS.length), ...WAYS.slice(0, repeat % WAYS.length)]) {
        await measureOnce(endpoints[way], load, runs[way]);
        say(
          `[${repeat + 1} of ${repeats}] engine ${engine.title}, ${load.clients} clients, ${way}: ${rounded(runs[way].perSecond.at(-1) ?? 0)} requests/s`,
        );
      }
    cells.push({ engine, load, runs });
  }
  for (const mode of ["off", "generated"] as const) await stacks.takeDown(stackOf(engine, mode));
  return cells;
}

function noRuns(): Runs {
  return { perSecond: [], firstMs: [] };
}

/** @throws Error if a request failed: times without the failures would be meaningless. */
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

function stackOf(engine: Engine, mode: "off" | "generated"): string {
  return mode === "off" ? engine.stack : `${engine.stack}-tls`;
}

async function bringUp(
  engine: Engine,
  mode: "off" | "generated",
  stacks: BenchmarkStacks,
): Promise<{ readonly gateway: Endpoint; readonly frontend: Endpoint }> {
  const ports = await freePorts();
  const config: ConfigInput = {
    target: "local",
    model: "Qwen/Qwen3-8B",
    engine: "mocker",
    engineArgs: [...engine.args],
    router: { mode: "round-robin" },
    pools: [{ role: "aggregated", replicas: WORKERS }],
    // Limits that are never reached.
    access: {
      gateway: true,
      tls: { mode },
      requestsPerSecond: 100_000,
      burst: 1_000_000,
      connectionsPerKey: 1000,
    },
    ...ports,
  };
  const running = deploymentOf(await stacks.bringUp(stackOf(engine, mode), config));
  const { endpoint, model, apiKey, certificate } = running;
  return {
    gateway: { url: endpoint, model, authorization: `Bearer ${apiKey}`, ca: certificate },
    frontend: { url: `http://${new URL(endpoint).hostname}:${ports.ports.frontendHttp}`, model },
  };
}

function explanation(repeats: number): string {
  const amounts = LOADS.map(({ clients, requests }) => `${requests} with ${clients}`).join(", ");
  return [
    `${WORKERS} workers of Dynamo ${VERSIONS.dynamo}'s mocker, streamed answers of ${ANSWER_TOKENS} tokens; requests a run: ${amounts} clients, on connections that are kept;`,
    `${repeats} runs of each way in turns. Requests/s: median of the runs, in brackets the least and the most; TTFT: of the requests of all runs.`,
  ].join("\n");
}

/** The table of docs/benchmarks.md. */
function tableOf(cells: readonly Cell[]): string {
  const header = [
    ...["engine", "clients", "way", "requests/s", "against direct"],
    ...["TTFT p50, ms", "against direct", "TTFT p99, ms"],
  ];
  const rows = cells.flatMap(({ engine, load, runs }) =>
    WAYS.map((way) => {
      const change = (measure: (of: Runs) => number) =>
        way === "direct" ? "" : percent(measure(runs[way]) / measure(runs.direct) - 1);
      const [perSecond, p50] = [(of: Runs) => median(of.perSecond), (of: Runs) => median(of.firstMs)];
      return [
        ...[engine.title, String(load.clients), way, ranged(runs[way].perSecond), change(perSecond)],
        ...[rounded(p50(runs[way])), change(p50), rounded(quantile(runs[way].firstMs, 0.99))],
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
  return values.toSorted((a, b) => a - b)[Math.ceil(share * values.length) - 1] ?? Number.NaN;
}
