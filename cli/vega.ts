/** Pictures of tables: Vega-Lite specifications, rendered to SVG without a browser. */

import type { TopLevelSpec } from "vega-lite";

/** Okabe and Ito's colours, distinguishable with colour blindness: https://jfly.uni-koeln.de/color/ */
const COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"];
/** Makes coinciding lines visible, and prints without colours readable. */
const DASHES = [
  [1, 0],
  [7, 3],
  [2, 2],
  [9, 3, 2, 3],
  [4, 4],
];
/** Space between the highest value and the frame. */
export const HEADROOM = 1.12;
/** With thousands separators, without trailing zeros. */
export const NUMBER = ",~r";

/** What all pictures have in common. */
export const PICTURE = {
  $schema: "https://vega.github.io/schema/vega-lite/v6.json",
  background: "white",
  padding: 12,
} as const;

const TITLE = {
  fontSize: 13,
  fontWeight: "bold",
  anchor: "start",
  frame: "group",
  offset: 10,
  subtitleColor: "#555",
} as const;

/** The same fonts and colours in all of them. */
export const STYLE = {
  font: "Helvetica, Arial, sans-serif",
  axis: { gridColor: "#e5e5e5", titleFontWeight: "normal", labelFontSize: 11, titleFontSize: 12 },
  title: TITLE,
  legend: {
    symbolOpacity: 1,
    orient: "bottom",
    offset: 8,
    labelFontSize: 12,
    labelLimit: 480,
    symbolType: "stroke",
    symbolSize: 400,
    symbolStrokeWidth: 2,
  },
  point: { opacity: 1 },
  view: { stroke: "#bbb" },
  range: { category: COLORS },
} as const;

/** The heading of a whole picture. */
export function heading(text: string, subtitle: readonly string[]) {
  return { text, subtitle: [...subtitle], anchor: "start" as const, offset: 24, fontSize: 16 };
}

/** The field that distinguishes the lines of a chart; a single line needs no legend. */
export function toldApart(rows: readonly { readonly series: string }[]) {
  const series = [...new Set(rows.map((row) => row.series))];
  const channel = {
    field: "series",
    type: "nominal" as const,
    sort: series,
    title: null,
    ...(series.length > 1 ? {} : { legend: null }),
  };
  // More lines than colours: in the next round each has another dash.
  const dashes = series.map(
    (_, index) => DASHES[(index + Math.floor(index / COLORS.length)) % DASHES.length],
  );
  return { color: channel, strokeDash: { ...channel, scale: { range: dashes } } };
}

/**
 * Vega and Vega-Lite, which only charts need: a package that has this one as a dependency need not have them.
 * @throws if they are not installed: `main.ts` says which, and how.
 */
export async function chartLibraries() {
  // Both use top-level await, so they must be imported as ES modules.
  const [{ parse, View }, { compile }] = await Promise.all([import("vega"), import("vega-lite")]);
  return { parse, View, compile };
}

/** The picture as SVG; deterministic. */
export async function svgOf(specification: TopLevelSpec): Promise<string> {
  const { parse, View, compile } = await chartLibraries();
  const { spec } = compile(specification);
  const view = new View(parse(spec), { renderer: "none" });
  try {
    return `${await view.toSVG()}\n`;
  } finally {
    view.finalize();
  }
}
