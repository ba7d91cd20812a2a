/**
 * Output of `bin/dynamo-sky bench`, also written next to its metrics: Markdown that reads as a table in a
 * terminal too. Pure.
 */
import { SIMULATED } from "../../engines";
import { counted } from "../../lib/words";
import { type ComparedRuns, valuesOf } from "./compare";
import { type Metric, type MetricKey, metric } from "./metrics";
import { type Spread, spread } from "./statistics";
import type { Point, Summary } from "./summary";

/** A Markdown table with aligned columns; the first ones are text, the others numbers. */
export function markdownTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  textColumns = 1,
): string {
  const widths = header.map((title, column) =>
    Math.max(3, title.length, ...rows.map((row) => (row[column] ?? "").length)),
  );
  const isText = (column: number) => column < textColumns;
  const line = (cells: readonly string[]) =>
    `| ${widths.map((width, column) => pad(cells[column] ?? "", width, isText(column))).join(" | ")} |`;
  const rule = widths.map((width, column) =>
    isText(column) ? "-".repeat(width) : `${"-".repeat(width - 1)}:`,
  );
  return [line(header), `| ${rule.join(" | ")} |`, ...rows.map(line)].join("\n");
}

function pad(cell: string, width: number, isText: boolean): string {
  return isText ? cell.padEnd(width) : cell.padStart(width);
}

/** Three significant digits, with thousands separators: `1,234`, `56.7`, `0.123`. */
export function rounded(value: number): string {
  if (value === 0) return "0";
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** `48.6 (46.0–52.1)`; with one repeat only `48.6`. */
function withRange({ median, least, most }: Spread): string {
  return least === most ? rounded(median) : `${rounded(median)} (${rounded(least)}–${rounded(most)})`;
}

/** With the spread. */
const COLUMNS: readonly { readonly key: MetricKey; readonly range: boolean }[] = [
  { key: "ttftP50", range: true },
  { key: "ttftP99", range: false },
  { key: "itlP50", range: true },
  { key: "itlP99", range: false },
  { key: "tokensPerSecond", range: true },
  { key: "requestsPerSecond", range: false },
  { key: "tokensPerSecondPerUser", range: false },
  { key: "tokensPerSecondPerGpu", range: false },
];

/** Results: a line per number of clients. */
function runTable(summary: Summary): string {
  const shown = COLUMNS.filter(({ key }) => summary.points.some((point) => valuesOf(point, key).length > 0));
  const header = ["clients", "requests", "failed", ...shown.map(({ key }) => columnOf(key))];
  const rows = summary.points.map((point) => [
    String(point.clients),
    String(sum(point, "requests")),
    String(sum(point, "errors")),
    ...shown.map(({ key, range }) => {
      const found = spread(valuesOf(point, key));
      if (found === undefined) return "";
      return range ? withRange(found) : rounded(found.median);
    }),
  ]);
  return markdownTable(header, rows, 0);
}

function sum(point: Point, key: "requests" | "errors"): number {
  return point.runs.reduce((total, run) => total + run[key], 0);
}

/** The whole report: load, deployment, versions, and the table. */
export function runReport(summary: Summary): string {
  const { load, deployment, environment } = summary;
  const programs = Object.entries(deployment.programs).map(([role, count]) => `${count} ${role}`);
  const gpus =
    deployment.gpus === undefined
      ? []
      : [counted(deployment.gpus, deployment.isSimulated ? "simulated GPU" : "GPU")];
  return [
    `# ${summary.label}: load ${load.name}${summary.quick ? " (quick)" : ""}`,
    "",
    ...(deployment.isSimulated
      ? [
          `**Simulated**: the engine is Dynamo's ${SIMULATED}, so times and tokens per GPU are those of its model of an engine.`,
          "",
        ]
      : []),
    `- Load: ${load.summary}; median of ${counted(load.repeats, "repeat")}, in brackets the least and the most`,
    `- Deployment: ${[`${deployment.model} on ${deployment.engine ?? "an engine that is not told"}`, ...gpus, ...programs].join(", ")}`,
    `- Sent by: aiperf ${environment.aiperf} on ${environment.system}, ${environment.cores} cores`,
    `- When: ${summary.startedAt}, ${(summary.seconds / 60).toFixed(1)} min`,
    "",
    runTable(summary),
    "",
    ...predictionLines(summary),
  ].join("\n");
}

/** Metrics that are predicted too. */
const PREDICTED: readonly MetricKey[] = ["tokensPerSecondPerGpu", "ttftP50", "itlP50"];

/** The prediction beside the medians; or why there is none. */
function predictionLines({ prediction, points }: Summary): string[] {
  if (prediction === undefined) return [];
  if ("missing" in prediction) return [`No prediction: ${prediction.missing}.`, ""];
  const { by, layout, engine, accelerator, version, deployed, isl, prefix, osl } = prediction;
  const cached = prefix > 0 ? ` (${rounded(prefix)} of them from a cache)` : "";
  const shown = PREDICTED.filter((key) =>
    prediction.points.some(({ values }) => values?.[key] !== undefined),
  );
  const rows = points.map((point) => {
    const values = prediction.points.find(({ clients }) => clients === point.clients)?.values;
    return [
      String(point.clients),
      ...shown.flatMap((key) => besides(spread(valuesOf(point, key))?.median, values?.[key])),
    ];
  });
  const header = ["clients", ...shown.flatMap((key) => [columnOf(key), "predicted", "difference"])];
  const notes = prediction.points.flatMap(({ clients, problem, warning }) =>
    [problem, warning].flatMap((text) =>
      text === undefined ? [] : [`- ${counted(clients, "client")}: ${text}`],
    ),
  );
  return [
    `Predicted by ${by} for ${layout}, ${engine} on ${accelerator}, from data of ${engine} ${version} (deployed is ${deployed}): each prompt of ${isl} tokens${cached}, each answer of ${osl}.`,
    "",
    markdownTable(header, rows, 0),
    "",
    ...notes,
    ...(notes.length > 0 ? [""] : []),
  ];
}

function besides(measured: number | undefined, said: number | undefined): string[] {
  return [
    measured === undefined ? "" : rounded(measured),
    said === undefined ? "" : rounded(said),
    // Of nothing there is no share.
    measured === undefined || !said ? "" : percent(measured / said - 1),
  ];
}

function columnOf(key: MetricKey): string {
  const { title, unit } = metric(key);
  return unit === "ms" ? `${title}, ms` : unit;
}

/** Metrics of the report; the JSON has all. */
export const COMPARED: readonly MetricKey[] = [
  "ttftP50",
  "ttftP99",
  "itlP50",
  "tokensPerSecond",
  "tokensPerSecondPerUser",
  "tokensPerSecondPerGpu",
];

/** Two runs side by side, and which differences are significant. */
export function comparisonReport(a: Summary, b: Summary, compared: ComparedRuns): string {
  const isShown = ({ metric: { key } }: { readonly metric: Metric }) => COMPARED.includes(key);
  const names = a.label === b.label ? [`${a.label} (first)`, `${b.label} (second)`] : [a.label, b.label];
  const name = ({ title, unit }: Metric) => `${title}, ${unit}`;
  const overall = compared.overall
    .filter(isShown)
    .map((one) => [name(one.metric), one.verdict, percent(one.change), probability(one.p)]);
  const rows = compared.comparisons
    .filter(isShown)
    .map((one) => [
      String(one.clients),
      name(one.metric),
      withRange(one.a),
      withRange(one.b),
      percent(one.change),
      probability(one.p),
    ]);
  const verdict = `${names[1] ?? ""} is`;
  return [
    `# ${names.join(" and ")}: load ${a.load.name}`,
    "",
    ...compared.cautions.map((caution) => `- Caution: ${caution}`),
    ...(compared.cautions.length > 0 ? [""] : []),
    "All numbers of clients together:",
    "",
    markdownTable(["metric", verdict, "change", "p"], overall, 2),
    "",
    markdownTable(["clients", "metric", ...names, "change", "p"], rows, 2),
    "",
    conclusion(compared),
    "",
  ].join("\n");
}

function probability(p: number): string {
  return p < 0.001 ? "< 0.001" : p.toFixed(3);
}

function percent(share: number): string {
  return `${share > 0 ? "+" : ""}${(share * 100).toFixed(1)} %`;
}

function conclusion({ overall }: ComparedRuns): string {
  const meaning =
    "p is how often chance alone would make as large a difference; below 0.05 it counts, so of twenty metrics that are the same, one would seem to differ.";
  return overall.every(({ verdict }) => verdict === "too few repeats to tell")
    ? `${meaning} With so few repeats no difference can count: 4 of each are enough (--repeats 4).`
    : meaning;
}
