/**
 * `npm run benchmarks -- --autoscale`: a deployment on this machine under three waves of load from AIPerf, as
 * large as NVIDIA's planner decides and `dynamo-sky operate` carries out. Its workers are Dynamo's mocker.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Load } from "../../cli/bench/loads";
import { randomSeed } from "../../cli/bench/measure";
import { profile, RECORDS_FILE } from "../../cli/bench/profile";
import { markdownTable } from "../../cli/bench/report";
import { prepare } from "../../cli/bench/runCommand";
import { targetOf } from "../../cli/bench/target";
import type { ConfigInput } from "../../config/schema";
import { SIMULATED } from "../../engines";
import type { Progress } from "../../toolchain/index";
import { freePorts } from "../freePorts";
import type { Benchmark } from "./benchmark";
import { Observer, type Sample } from "./observer";
import { type BenchmarkStacks, withBenchmarkStacks } from "./stacks";
import { waveChart } from "./waveChart";
import { rowOf, type Wave, type WaveRequest } from "./waves";

const STACK = "waves";
const ROLE = "aggregated";
const LEAST = 1;
const MOST = 3;
/** Requests that a worker of this size answers at a time; the others wait. */
const AT_A_TIME = 16;
const WAVES = [
  { name: "morning", clients: 4, requestsPerClient: 30 },
  { name: "noon", clients: 40, requestsPerClient: 20 },
  { name: "evening", clients: 4, requestsPerClient: 30 },
] as const;
const LIMIT_SECONDS = 600;
/** Until the planner has taken what the last wave needed. */
const REST_SECONDS = 300;

async function configuration(): Promise<ConfigInput> {
  return {
    target: "local",
    model: "Qwen/Qwen3-8B",
    engine: SIMULATED,
    // Few blocks of the KV cache, so that few streams fill it.
    engineArgs: [
      ...["--speedup-ratio", "0.1", "--num-gpu-blocks-override", "120"],
      ...["--max-num-seqs", String(AT_A_TIME)],
    ],
    // No limit that the load would meet.
    access: { gateway: true, requestsPerSecond: 1000, burst: 1000, connectionsPerKey: 1000 },
    pools: [{ role: ROLE, minReplicas: LEAST, maxReplicas: MOST }],
    autoscale: {
      target: "load",
      scaleUpKvPercent: 50,
      scaleDownKvPercent: 10,
      intervalSeconds: 5,
      cooldownSeconds: 20,
      changesPerHour: 100,
    },
    limits: { gpus: MOST },
    ...(await freePorts()),
  };
}

/** @param picture Path of the chart. Default: none is drawn. */
export function autoscaleBenchmark(say: Progress, picture?: string): Promise<Benchmark> {
  return withBenchmarkStacks("dynamo-sky-autoscale", say, (stacks) => measureAll(stacks, say, picture));
}

async function measureAll(
  stacks: BenchmarkStacks,
  say: Progress,
  picture: string | undefined,
): Promise<Benchmark> {
  const outputs = await stacks.bringUp(STACK, await configuration());
  const target = targetOf(outputs);
  const bench = await prepare(target, {}, say);
  const observer = new Observer(outputs, ROLE);
  const operator = stacks.operator(STACK, ["--every", "1"]);
  try {
    const waves: Wave[] = [];
    for (const { name, clients, requestsPerClient } of WAVES) {
      say(`${name}: ${clients} clients`);
      const directory = join(stacks.directory, "aiperf", name);
      const load = loadOf(clients, requestsPerClient);
      const spec = { load, clients, seed: randomSeed(), tokenizer: bench.tokenizer, directory };
      const { errors } = await profile(target, spec, {
        command: bench.aiperf.command,
        hfHome: bench.hfHome,
        limitSeconds: LIMIT_SECONDS,
        onRequests: (done, of) => say(`${name}: ${done} of ${of} requests, ${observer.workers} workers`),
      });
      const requests = await requestsIn(join(directory, RECORDS_FILE));
      const times = requests.map(({ at }) => at);
      waves.push({ name, clients, requests, errors, from: Math.min(...times), to: Math.max(...times) });
    }
    await observer.until(LEAST, REST_SECONDS);
    const samples = observer.stop();
    if (picture !== undefined) await writeFile(picture, await waveChart(waves, samples));
    return {
      text: textOf(waves, samples, operator.scaled(ROLE)),
      rows: waves.map((wave) => rowOf(wave, samples)),
    };
  } finally {
    observer.stop();
    await operator.stop();
  }
}

function loadOf(clients: number, requestsPerClient: number): Load {
  return {
    name: "chat",
    summary: "short questions",
    prompt: { mean: 100, stddev: 20 },
    // Of different lengths, so that the clients do not go in step.
    answer: { mean: 24, stddev: 8 },
    clients: [clients],
    requestsPerClient,
    leastRequests: 1,
    repeats: 1,
  };
}

/** A line of AIPerf's records. */
interface RecordLine {
  readonly metadata: { readonly request_start_ns: number };
  readonly metrics?: { readonly time_to_first_token?: { readonly value: number } };
}

async function requestsIn(file: string): Promise<WaveRequest[]> {
  const lines = (await readFile(file, "utf8")).split("\n").filter((line) => line !== "");
  return lines.map((line) => {
    const { metadata, metrics } = JSON.parse(line) as RecordLine;
    return { at: metadata.request_start_ns / 1e9, ttftMs: metrics?.time_to_first_token?.value };
  });
}

function textOf(waves: readonly Wave[], samples: readonly Sample[], scaled: readonly number[]): string {
  const shown = (value: number | undefined) =>
    value === undefined ? "" : Math.round(value).toLocaleString("en");
  const rows = waves.map((wave) => {
    const row = rowOf(wave, samples);
    const workers = [row.workersAtFirst, row.workersAtMost, row.workersInTheEnd];
    return [
      `${row.wave}: ${row.clients} clients`,
      workers.filter((count, i) => i === 0 || count !== workers[i - 1]).join(" → "),
      shown(row.grownAfterSeconds),
      shown(row.queuedAtMost),
      shown(row.ttftP95BeforeMs),
      shown(row.ttftP95AfterMs),
      shown(row.requests),
      String(row.lost),
    ];
  });
  const titles = [
    "wave",
    "workers",
    "grown after, s",
    "most queued",
    "TTFT p95 before, ms",
    "after, ms",
    "requests",
    "lost",
  ];
  const most = Math.max(...samples.map(({ workers }) => workers));
  return [
    markdownTable(titles, rows),
    "",
    `The planner's decisions that were carried out: ${scaled.join(", ")} workers. Never more than ${most} of at most ${MOST}.`,
  ].join("\n");
}
