/**
 * Planning time by number of nodes: `node --require tsx/cjs dev/benchmarks/planning.ts` prints the table of
 * docs/benchmarks.md. Each row is a configuration that is parsed, planned and written as JSON, in a warm
 * process.
 */

import { markdownTable } from "../../cli/bench/report";
import { type ConfigInput, parseConfig } from "../../plan/config";
import { plan } from "../../plan/plan";
import type { Benchmark } from "./benchmark";
import { median } from "./timing";

const NODES = [10, 100, 1000];
const REPEATS = 5;

interface Layout {
  readonly name: string;
  readonly of: (nodes: number) => ConfigInput;
}

const deployment = (nodes: number, pools: ConfigInput["pools"]): ConfigInput => ({
  model: "Qwen/Qwen3-8B",
  cluster: { nodes },
  pools,
});

const LAYOUTS: readonly Layout[] = [
  {
    name: "8 × TP1 a node",
    of: (nodes) => deployment(nodes, [{ role: "aggregated", replicas: 8 * nodes }]),
  },
  {
    name: "1P1D of TP4 a node",
    of: (nodes) =>
      deployment(nodes, [
        { role: "prefill", replicas: nodes, tensorParallel: 4 },
        { role: "decode", replicas: nodes, tensorParallel: 4 },
      ]),
  },
  {
    name: "TP16 × DP2 over two nodes",
    of: (nodes) =>
      deployment(nodes, [{ role: "aggregated", replicas: nodes / 2, tensorParallel: 8, dataParallel: 2 }]),
  },
  {
    // 8, 5 + 3 and 4 + 2 + 2 fill three nodes; the simple rule finds no packing, so the search is needed.
    name: "odd sizes: 8, 5, 4, 3, 2",
    of: (nodes) => {
      const thirds = Math.floor(nodes / 3);
      const pools = [8, 5, 3, 4, 2, 2].map((tensorParallel) => ({
        role: "aggregated" as const,
        replicas: thirds,
        tensorParallel,
      }));
      return deployment(3 * thirds, pools);
    },
  },
];

/** Seconds of one run. */
function planOnce(layout: Layout, nodes: number): number {
  const started = performance.now();
  const config = parseConfig(layout.of(nodes));
  JSON.stringify(plan(config, { discovery: "etcd", events: "nats" }));
  return (performance.now() - started) / 1000;
}

/** Milliseconds for each layout and number of nodes. */
export function planningBenchmark(): Benchmark {
  for (const layout of LAYOUTS) planOnce(layout, 10);
  const rows = LAYOUTS.flatMap((layout) =>
    NODES.map((nodes) => {
      const milliseconds = Array.from({ length: REPEATS }, () => 1000 * planOnce(layout, nodes));
      return { layout: layout.name, nodes, milliseconds };
    }),
  );
  const table = LAYOUTS.map(({ name }) => [
    name,
    ...rows
      .filter(({ layout }) => layout === name)
      .map(({ milliseconds }) => median(milliseconds).toFixed(1)),
  ]);
  const header = [`planning, median of ${REPEATS}, ms`, ...NODES.map((nodes) => `${nodes} nodes`)];
  return { text: markdownTable(header, table), rows };
}

if (require.main === module) console.log(planningBenchmark().text);
