/**
 * `npm run benchmarks -- --gateway`: the cost of the gateway, with TLS and without. Two deployments on this
 * machine that differ in TLS only; the same streamed requests are sent to both gateways and, bypassing one of
 * them, to its frontend. (That no request is lost or wrongly accepted under load is a test:
 * test/dynamo/gatewayLoad.test.ts.)
 */

import { deploymentOf } from "../../cli/deployment/running";
import type { ConfigInput } from "../../config/schema";
import { VERSIONS } from "../../config/versions";
import { SIMULATED } from "../../engines";
import type { Progress } from "../../toolchain/index";
import { freePorts } from "../freePorts";
import type { Benchmark } from "./benchmark";
import { type BenchmarkStacks, withBenchmarkStacks } from "./stacks";
import { type Endpoint, withKey } from "./streams";
import {
  ANSWER_TOKENS,
  amounts,
  type Cell,
  ENGINES,
  type Engine,
  measureWays,
  resultOf,
  WORKERS,
} from "./ways";

/**
 * Brings the deployments up, measures, and removes them, also on an interrupt.
 * @param repeats Of each cell of the table.
 * @returns A row for each engine, load and path, and a description.
 */
export function gatewayBenchmark(say: Progress, repeats: number): Promise<Benchmark> {
  return withBenchmarkStacks("dynamo-sky-gateway", say, async (stacks) => {
    const cells: Cell[] = [];
    for (const engine of ENGINES) cells.push(...(await measureEngine(engine, stacks, say, repeats)));
    return resultOf(cells, explanation(repeats));
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
  const ways = [
    { name: "direct", endpoint: plain.frontend },
    { name: "gateway", endpoint: plain.gateway },
    { name: "gateway with TLS", endpoint: tls.gateway },
  ];
  const cells = await measureWays(engine, ways, say, repeats);
  for (const mode of ["off", "generated"] as const) await stacks.takeDown(stackOf(engine, mode));
  return cells;
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
    engine: SIMULATED,
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
  const { endpoint, model } = running;
  return {
    gateway: withKey(running),
    frontend: { url: `http://${new URL(endpoint).hostname}:${ports.ports.frontendHttp}`, model },
  };
}

function explanation(repeats: number): string {
  return [
    `${WORKERS} workers of Dynamo ${VERSIONS.dynamo}'s ${SIMULATED}, streamed answers of ${ANSWER_TOKENS} tokens; requests a run: ${amounts()} clients, on connections that are kept;`,
    `${repeats} runs of each way in turns. Requests/s: median of the runs, in brackets the least and the most; TTFT: of the requests of all runs.`,
  ].join("\n");
}
