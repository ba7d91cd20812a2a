/**
 * `npm run benchmarks -- --tls`: the cost of mutual TLS between a deployment's own processes
 * (`controlPlane.tls`). Two deployments on this machine that differ in it only; the same streamed requests
 * are sent to both frontends.
 */

import { deploymentOf } from "../../cli/deployment/running";
import { VERSIONS } from "../../config/versions";
import { SIMULATED } from "../../engines";
import type { Progress } from "../../toolchain/index";
import { freePorts } from "../freePorts";
import type { Benchmark } from "./benchmark";
import { type BenchmarkStacks, withBenchmarkStacks } from "./stacks";
import {
  ANSWER_TOKENS,
  amounts,
  type Cell,
  ENGINES,
  type Engine,
  measureWays,
  resultOf,
  type Way,
  WORKERS,
} from "./ways";

const WAYS = [
  { name: "plain", suffix: "", tls: false },
  { name: "TLS", suffix: "-tls", tls: true },
] as const;

/**
 * Brings the deployments up, measures, and removes them, also on an interrupt.
 * @param repeats Of each cell of the table.
 * @returns A row for each engine, load and deployment, and a description.
 */
export function tlsBenchmark(say: Progress, repeats: number): Promise<Benchmark> {
  return withBenchmarkStacks("dynamo-sky-tls", say, async (stacks) => {
    const cells: Cell[] = [];
    for (const engine of ENGINES) {
      say(`Bringing up two deployments whose engine is: ${engine.title}`);
      const ways: Way[] = [];
      for (const way of WAYS) ways.push(await bringUp(engine, way, stacks));
      cells.push(...(await measureWays(engine, ways, say, repeats)));
      for (const { suffix } of WAYS) await stacks.takeDown(`${engine.stack}${suffix}`);
    }
    return resultOf(cells, explanation(repeats));
  });
}

async function bringUp(engine: Engine, way: (typeof WAYS)[number], stacks: BenchmarkStacks): Promise<Way> {
  const outputs = await stacks.bringUp(`${engine.stack}${way.suffix}`, {
    target: "local",
    model: "Qwen/Qwen3-8B",
    engine: SIMULATED,
    engineArgs: [...engine.args],
    pools: [{ role: "aggregated", replicas: WORKERS }],
    // The same control plane in both, whatever this machine has.
    controlPlane: { discovery: "etcd", events: "nats", tls: way.tls },
    ...(await freePorts()),
  });
  const { endpoint, model } = deploymentOf(outputs);
  return { name: way.name, endpoint: { url: endpoint, model } };
}

function explanation(repeats: number): string {
  return [
    `${WORKERS} workers of Dynamo ${VERSIONS.dynamo}'s ${SIMULATED} behind its KV-aware router, with etcd and NATS; streamed answers of ${ANSWER_TOKENS} tokens; requests a run: ${amounts()} clients,`,
    `on connections that are kept; ${repeats} runs of each in turns. Requests/s: median of the runs, in brackets the least and the most; TTFT: of the requests of all runs.`,
  ].join("\n");
}
