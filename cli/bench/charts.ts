/** Charts of one or several runs. */

import type { TopLevelSpec } from "vega-lite";
import { SIMULATED } from "../../engines";
import { HEADROOM, heading, NUMBER, PICTURE, STYLE, svgOf, toldApart } from "../vega";
import { valuesOf } from "./compare";
import type { MetricKey } from "./metrics";
import { spread } from "./statistics";
import type { Summary } from "./summary";

const SIZE = { width: 360, height: 240 };
/** Longest legend on one line. Unit: characters. */
const LEGEND_LENGTH = 40;
/** One point of a line: the median of the repeats, and their range. */
interface Row {
  readonly clients: number;
  readonly series: string;
  readonly value: number;
  readonly least: number;
  readonly most: number;
}

/** A chart with the number of clients on the x axis. */
interface Panel {
  readonly title: string;
  readonly unit: string;
  readonly rows: readonly Row[];
}

/**
 * The four charts of a run as one picture: TTFT, ITL and throughput against the number of clients, and
 * throughput against speed per client. For several runs, which must have the same load, the medians in one
 * colour each.
 */
export function chartSpec(runs: readonly Summary[]): TopLevelSpec {
  const [first] = runs;
  if (first === undefined) throw new RangeError("a chart needs a run");
  const isOne = runs.length === 1;
  const percentiles = (name: "ttft" | "itl") =>
    isOne
      ? (["P50", "P90", "P99"] as const).map((part) => `${name}${part}` as const)
      : [`${name}P50` as const];
  const panel = (title: string, unit: string, keys: readonly MetricKey[]): Panel => ({
    title,
    unit,
    rows: runs.flatMap((run) =>
      keys.flatMap((key) => rowsOf(run, key, keys.length > 1 ? `p${key.slice(-2)}` : run.label)),
    ),
  });
  const suffix = isOne ? "" : ", p50";
  return {
    ...PICTURE,
    title: heading(titleOf(runs), subtitleOf(runs)),
    config: {
      ...STYLE,
      legend: {
        ...STYLE.legend,
        direction: runs.map(({ label }) => label).join("").length > LEGEND_LENGTH ? "vertical" : "horizontal",
      },
    },
    columns: 2,
    // Aligns plots regardless of the width of axis labels.
    bounds: "flush",
    spacing: { row: 130, column: 80 },
    concat: [
      lines(panel(`Time to first token (TTFT)${suffix}`, "ms", percentiles("ttft"))),
      lines(panel(`Inter-token latency (ITL)${suffix}`, "ms", percentiles("itl"))),
      lines(panel("Throughput of all clients", "output tokens/s", ["tokensPerSecond"])),
      pareto(runs),
    ],
    resolve: { scale: { color: "independent", strokeDash: "independent" } },
  };
}

function titleOf(runs: readonly Summary[]): string {
  const [first] = runs;
  const names = [...new Set(runs.map(({ label }) => label))].join(" and ");
  return `${names}: load ${first?.load.name ?? ""}`;
}

function subtitleOf(runs: readonly Summary[]): string[] {
  const [first] = runs;
  if (first === undefined) return [];
  const { load, deployment } = first;
  const simulated = runs.some((run) => run.deployment.isSimulated);
  const prefix =
    load.prefix === undefined
      ? ""
      : `${load.prefix.count} shared beginnings of ${load.prefix.tokens} tokens, `;
  const repeats =
    load.repeats === 1
      ? "one run of each"
      : `median of ${load.repeats} runs, bands from the least to the most`;
  return [
    `${deployment.model}${simulated ? ` · SIMULATED by Dynamo's ${SIMULATED}, not a GPU` : ""}`,
    `${prefix}prompts of ${tokens(load.prompt)} tokens, answers of ${tokens(load.answer)}`,
    repeats,
  ];
}

const tokens = ({ mean, stddev }: { mean: number; stddev: number }) =>
  stddev === 0 ? String(mean) : `${mean} ± ${stddev}`;

function rowsOf(run: Summary, key: MetricKey, series: string): Row[] {
  return run.points.flatMap((point) => {
    const found = spread(valuesOf(point, key));
    return found === undefined
      ? []
      : [{ clients: point.clients, series, value: found.median, least: found.least, most: found.most }];
  });
}

/** Numbers of clients are mostly powers of two, so a logarithmic axis has equal steps. */
function clientsAxis(rows: readonly Row[]) {
  const values = [...new Set(rows.map(({ clients }) => clients))].sort((a, b) => a - b);
  return {
    field: "clients",
    type: "quantitative" as const,
    scale: { type: "log" as const, base: 2, nice: false, padding: 12 },
    axis: { values, format: "d", title: "concurrent clients" },
  };
}

/** Above this ratio a linear axis from 0 would hide small values. */
const LOG_RATIO = 30;

/** From 0, so that lengths can be compared; logarithmic if the values are too far apart. */
function valueScale(rows: readonly Row[]) {
  const least = Math.min(...rows.map((row) => row.least));
  const most = Math.max(...rows.map((row) => row.most));
  if (least > 0 && most / least > LOG_RATIO)
    return { type: "log" as const, base: 10, domain: [least / HEADROOM, most * HEADROOM] };
  // Not `nice`: a label at the very top would move the heading.
  return { type: "linear" as const, domain: [0, most * HEADROOM], nice: false };
}

function lines({ title, unit, rows }: Panel) {
  const { color, strokeDash } = toldApart(rows);
  const x = clientsAxis(rows);
  const scale = valueScale(rows);
  const y = (field: string) => ({
    field,
    type: "quantitative" as const,
    title: unit,
    scale,
    axis: { format: NUMBER },
  });
  return {
    title,
    ...SIZE,
    data: { values: rows.map((row) => ({ ...row })) },
    layer: [
      {
        mark: { type: "area" as const, opacity: 0.15 },
        encoding: { x, y: y("least"), y2: { field: "most" }, color },
      },
      { mark: { type: "line" as const, strokeWidth: 2 }, encoding: { x, y: y("value"), color, strokeDash } },
      { mark: { type: "point" as const, filled: true, size: 45 }, encoding: { x, y: y("value"), color } },
    ],
  };
}

/**
 * Each point is a number of clients; up and to the right is better, and along a curve one is traded for the
 * other.
 */
function pareto(runs: readonly Summary[]) {
  const perGpu = runs.every((run) => run.deployment.gpus !== undefined);
  const key: MetricKey = perGpu ? "tokensPerSecondPerGpu" : "tokensPerSecond";
  const values = runs.flatMap((run) =>
    run.points.flatMap((point) => {
      const across = spread(valuesOf(point, "tokensPerSecondPerUser"));
      const up = spread(valuesOf(point, key));
      if (across === undefined || up === undefined) return [];
      return [{ clients: point.clients, series: run.label, across: across.median, up: up.median }];
    }),
  );
  const { color, strokeDash } = toldApart(values);
  const number = (field: "across" | "up", title: string) => ({
    field,
    title,
    type: "quantitative" as const,
    scale: { domain: [0, Math.max(...values.map((row) => row[field])) * HEADROOM], nice: false },
    axis: { format: NUMBER },
  });
  const gpu = runs.some((run) => run.deployment.isSimulated) ? "simulated GPU" : "GPU";
  const encoding = {
    x: number("across", "tokens/s/user"),
    // A title longer than the axis would move the chart's heading.
    y: number("up", perGpu ? `tokens/s/${gpu}` : "tokens/s, all together"),
    color,
  };
  return {
    title: "Pareto curve, by clients",
    ...SIZE,
    data: { values },
    layer: [
      {
        mark: { type: "line" as const, strokeWidth: 2 },
        encoding: { ...encoding, strokeDash, order: { field: "clients", type: "quantitative" as const } },
      },
      { mark: { type: "point" as const, filled: true, size: 45 }, encoding },
      {
        mark: { type: "text" as const, align: "left" as const, dx: 6, dy: -6, fontSize: 10 },
        encoding: { ...encoding, text: { field: "clients", type: "quantitative" as const } },
      },
    ],
  };
}

/** The picture as SVG; deterministic. */
export function chartSvg(runs: readonly Summary[]): Promise<string> {
  return svgOf(chartSpec(runs));
}
