/**
 * `npm run benchmarks -- --autoscale`: a deployment under three waves of load from AIPerf, as large as
 * NVIDIA's planner decides and `dynamo-sky operate` carries out. Its workers are Dynamo's mocker, on this
 * machine, or with `--autoscale-lab` each on a SkyPilot cluster of its own.
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
import { LAB_INFRA } from "../../toolchain/labLayout";
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

/** Where it runs, and what differs there. */
export interface Place {
  readonly config: Partial<ConfigInput>;
  /** GPUs of a worker. */
  readonly gpus: number;
  /** Of each client at noon: long enough for two more workers. */
  readonly requestsAtNoon: number;
  /** Until the planner has taken what the last wave needed. */
  readonly restSeconds: number;
}

export const HERE: Place = {
  config: { target: "local" },
  gpus: 1,
  requestsAtNoon: 20,
  restSeconds: 300,
};

/** A worker more is a launch: minutes. */
export const IN_THE_LAB: Place = {
  config: {
    sky: { infra: LAB_INFRA },
    placement: "dedicated",
    cluster: { gpusPerNode: 2, accelerator: "H100" },
  },
  gpus: 2,
  requestsAtNoon: 100,
  restSeconds: 900,
};

const wavesAt = ({ requestsAtNoon }: Place) => [
  { name: "morning", clients: 4, requestsPerClient: 30 },
  { name: "noon", clients: 40, requestsPerClient: requestsAtNoon },
  { name: "evening", clients: 4, requestsPerClient: 30 },
];
const LIMIT_SECONDS = 1800;

async function configuration({ config, gpus }: Place): Promise<ConfigInput> {
  return {
    model: "Qwen/Qwen3-8B",
    engine: SIMULATED,
    // Few blocks of the KV cache, so that few streams fill it.
    engineArgs: [
      ...["--speedup-ratio", "0.1", "--num-gpu-blocks-override", "120"],
      ...["--max-num-seqs", String(AT_A_TIME)],
    ],
    // No limit that the load would meet.
    access: { gateway: true, requestsPerSecond: 1000, burst: 1000, connectionsPerKey: 1000 },
    pools: [{ role: ROLE, tensorParallel: gpus, minReplicas: LEAST, maxReplicas: MOST }],
    autoscale: {
      target: "load",
      scaleUpKvPercent: 50,
      scaleDownKvPercent: 10,
      intervalSeconds: 5,
      cooldownSeconds: 20,
      changesPerHour: 100,
    },
    limits: { gpus: MOST * gpus },
    ...(await freePorts()),
    ...config,
  };
}

/** @param picture Path of the chart. Default: none is drawn. */
export function autoscaleBenchmark(place: Place, say: Progress, picture?: string): Promise<Benchmark> {
  return withBenchmarkStacks("dynamo-sky-autoscale", say, (stacks) =>
    measureAll(place, stacks, say, picture),
  );
}

async function measureAll(
  place: Place,
  stacks: BenchmarkStacks,
  say: Progress,
  picture: string | undefined,
): Promise<Benchmark> {
  const outputs = await stacks.bringUp(STACK, await configuration(place));
  const target = targetOf(outputs);
  const bench = await prepare(target, {}, say);
  const observer = new Observer(outputs, ROLE);
  const operator = stacks.operator(STACK, ["--every", "1"]);
  try {
    const waves: Wave[] = [];
    for (const { name, clients, requestsPerClient } of wavesAt(place)) {
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
    await observer.until(LEAST, place.restSeconds);
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
