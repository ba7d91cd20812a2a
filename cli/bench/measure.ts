/**
 * Measures a whole load: every number of clients and every repeat, in an order that keeps a slow drift of the
 * machine from biasing the result.
 */
import { randomInt } from "node:crypto";
import { join } from "node:path";
import { counted } from "../../lib/words";
import type { Progress } from "../../toolchain/index";
import { type Load, requestsOf } from "./loads";
import { type Profiler, profile } from "./profile";
import type { Point, Run } from "./summary";
import type { BenchTarget } from "./target";

/** Leaves room for the offset of each run. */
const SEEDS = 2 ** 30;

/** A base seed by chance. */
export const randomSeed = (): number => randomInt(1, SEEDS);

/** Options of a measurement. */
export interface MeasureOptions {
  readonly target: BenchTarget;
  readonly load: Load;
  readonly tokenizer: string;
  readonly hfHome: string;
  /** The `aiperf` command. */
  readonly command: string;
  /** Base seed of the prompts; each run derives its own. */
  readonly seed: number;
  /** Directory of this measurement. */
  readonly directory: string;
  /** Time limit for one run of aiperf, in seconds. */
  readonly limitSeconds: number;
  readonly onProgress: Progress;
}

/**
 * Runs a whole load: all numbers of clients in turn, once per repeat.
 * @throws Error with the reason if a run of aiperf fails; earlier results are in its files.
 */
export async function measure(options: MeasureOptions): Promise<Point[]> {
  const { load } = options;
  const runs = new Map<number, Run[]>(load.clients.map((clients) => [clients, []]));
  const started = Date.now();
  const total = load.repeats * load.clients.length;
  let done = 0;
  for (let repeat = 1; repeat <= load.repeats; repeat++) {
    for (const clients of load.clients) {
      done += 1;
      const what = `[${done} of ${total}, ${since(started)}] ${load.name}, ${counted(clients, "client")}, repeat ${repeat} of ${load.repeats}`;
      options.onProgress(`${what}: ${requestsOf(load, clients)} requests, at most ${options.limitSeconds} s`);
      const run = await measureOnce(options, clients, repeat, what);
      runs.get(clients)?.push(run);
      options.onProgress(`${what}: ${inShort(run)}`);
    }
  }
  return [...runs].map(([clients, list]) => ({ clients, runs: list }));
}

async function measureOnce(
  options: MeasureOptions,
  clients: number,
  repeat: number,
  what: string,
): Promise<Run> {
  const { target, load, tokenizer, limitSeconds, onProgress } = options;
  const artifacts = join("aiperf", `${clients}-clients-${repeat}`);
  // Otherwise the prompts would be found in the caches filled by another run.
  const seed = options.seed + 1000 * repeat + clients;
  const spec = { load, clients, seed, tokenizer, directory: join(options.directory, artifacts) };
  const profiler: Profiler = {
    command: options.command,
    hfHome: options.hfHome,
    limitSeconds,
    onRequests: (count, of) => onProgress(`${what}: ${count} of ${of} requests answered, warm-up included`),
  };
  return { ...(await profile(target, spec, profiler)), seed, artifacts };
}

function inShort({ requests, errors, error, seconds, values }: Run): string {
  const parts = [
    `${requests} answered in ${seconds.toFixed(1)} s`,
    ...(errors > 0 ? [`${errors} failed (${error})`] : []),
    ...(values.ttftP50 === undefined ? [] : [`TTFT p50 ${values.ttftP50.toFixed(0)} ms`]),
    ...(values.itlP50 === undefined ? [] : [`ITL p50 ${values.itlP50.toFixed(1)} ms`]),
    ...(values.tokensPerSecond === undefined ? [] : [`${values.tokensPerSecond.toFixed(0)} tokens/s`]),
  ];
  return parts.join(", ");
}

function since(started: number): string {
  const seconds = Math.round((Date.now() - started) / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
