/** Picture of the autoscaling benchmark: workers, queue and time to first token over time. */
import type { TopLevelSpec } from "vega-lite";
import { heading, PICTURE, STYLE, svgOf } from "../../cli/vega";
import { SIMULATED } from "../../engines";
import type { Sample } from "./observer";
import { percentile } from "./timing";
import type { Wave } from "./waves";

const SIZE = { width: 720, height: 130 };
/** Requests that are taken together for one point. Unit: seconds. */
const BIN_SECONDS = 5;

/** Time on the x axis is seconds since the first wave began. */
export function waveChart(waves: readonly Wave[], samples: readonly Sample[]): Promise<string> {
  const begin = Math.min(...waves.map(({ from }) => from));
  const seen = samples
    .filter(({ at }) => at >= begin)
    .map(({ at, workers, queued }) => ({ second: at - begin, workers, queued }));
  const last = Math.max(...seen.map(({ second }) => second));
  const panel = (title: string, mark: object, values: readonly object[], field: string) => ({
    ...SIZE,
    title,
    data: { values: [...values] },
    layer: [
      {
        data: { values: waves.map(({ name, from, to }) => ({ name, from: from - begin, to: to - begin })) },
        mark: { type: "rect" as const, color: "#f3f3f3" },
        encoding: {
          x: { field: "from", type: "quantitative" as const },
          x2: { field: "to" },
        },
      },
      {
        mark: { type: "line" as const, color: "#0072B2", ...mark },
        encoding: {
          x: {
            field: "second",
            type: "quantitative" as const,
            scale: { domain: [0, last], nice: false },
            axis: { title: "seconds" },
          },
          y: { field, type: "quantitative" as const, axis: { title: null, tickCount: 4 } },
        },
      },
    ],
  });
  const spec: TopLevelSpec = {
    ...PICTURE,
    title: heading("Three waves of load, and as many workers as NVIDIA's planner decides", [
      `${waves.map(({ name, clients }) => `${name}: ${clients} clients`).join(", ")} · SIMULATED by Dynamo's ${SIMULATED}, not a GPU`,
    ]),
    config: STYLE,
    spacing: 30,
    vconcat: [
      panel("Workers that are registered", { interpolate: "step-after" }, seen, "workers"),
      panel("Requests without a first token yet", {}, seen, "queued"),
      panel(
        "Time to first token, p95 of requests begun within 5 s (ms)",
        { point: true },
        bins(waves, begin),
        "ttft",
      ),
    ],
  };
  return svgOf(spec);
}

function bins(waves: readonly Wave[], begin: number) {
  const byBin = new Map<number, number[]>();
  for (const { at, ttftMs } of waves.flatMap(({ requests }) => requests)) {
    if (ttftMs === undefined) continue;
    const bin = Math.floor((at - begin) / BIN_SECONDS);
    byBin.set(bin, [...(byBin.get(bin) ?? []), ttftMs]);
  }
  return [...byBin]
    .toSorted(([a], [b]) => a - b)
    .map(([bin, values]) => ({ second: (bin + 0.5) * BIN_SECONDS, ttft: percentile(values, 0.95) }));
}
