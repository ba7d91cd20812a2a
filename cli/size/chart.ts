/**
 * The picture of `dynamo-sky size`: how fast each client is served, against what a million tokens cost. Pure.
 */
import type { TopLevelSpec } from "vega-lite";
import { HEADROOM, heading, PICTURE, STYLE, toldApart } from "../vega";
import { layoutText } from "./draw";
import type { Priced } from "./layouts";
import type { SizeOptions } from "./options";

const SIZE = { width: 720, height: 420 };
/** Where the promise is. */
const PROMISE = "#666";

interface Point {
  readonly series: string;
  readonly across: number;
  readonly dollars: number;
  readonly layout: string;
  /** Where the layout is another than at the point before, and there is room to say so. */
  readonly label: string;
}

/**
 * Down and to the right is better. A curve is an engine on an accelerator: of its layouts, those of which
 * none is both faster and cheaper.
 */
export function chartSpec(curve: readonly Priced[], options: SizeOptions): TopLevelSpec {
  const points = seriesOf(curve);
  const promised = 1000 / options.tpot;
  const most = {
    across: Math.max(promised, ...points.map(({ across }) => across)) * HEADROOM,
    dollars: Math.max(...points.map(({ dollars }) => dollars)) * HEADROOM,
  };
  const rows = withRoom(points, most);
  const axis = (field: keyof typeof most, title: string) => ({
    ...{ field, title, type: "quantitative" as const },
    scale: { domain: [0, most[field]], nice: false },
  });
  const encoding = {
    x: axis("across", "tokens/s per user (one client)"),
    y: axis("dollars", "US dollars per million generated tokens"),
  };
  const { color, strokeDash } = toldApart(rows);
  const line = { x: { datum: promised } };
  // A layer is drawn for each row of its data.
  const once = { data: { values: [{}] } };
  return {
    ...PICTURE,
    title: heading(`${options.model}: what speed costs`, subtitleOf(options, points)),
    config: { ...STYLE, legend: { ...STYLE.legend, direction: "horizontal", columns: 3 } },
    ...SIZE,
    data: { values: rows.map((row) => ({ ...row })) },
    layer: [
      { ...once, mark: { type: "rule", color: PROMISE, strokeDash: [4, 4] }, encoding: line },
      {
        ...once,
        mark: { type: "text", align: "left", baseline: "top", dx: 5, dy: 5, color: PROMISE, fontSize: 11 },
        encoding: {
          ...line,
          y: { value: 0 },
          text: { value: `kept to the right: ${options.tpot} ms for each token` },
        },
      },
      {
        mark: { type: "line", strokeWidth: 2 },
        encoding: { ...encoding, color, strokeDash, order: { field: "across", type: "quantitative" } },
      },
      {
        mark: { type: "point", filled: true, size: 45 },
        encoding: { ...encoding, color, tooltip: { field: "layout" } },
      },
      {
        mark: { type: "text", align: "left", dx: 6, dy: 10, fontSize: 10 },
        encoding: { ...encoding, color, text: { field: "label" } },
      },
    ],
  };
}

/** Pixels of a letter, and of a line. */
const LETTER = { width: 6, height: 13 };

/** The same without the labels that would lie over an earlier one, or outside of the frame. */
function withRoom(points: readonly Point[], most: { readonly across: number; readonly dollars: number }) {
  const placed: { readonly left: number; readonly right: number; readonly top: number }[] = [];
  return points.map((point) => {
    if (point.label === "") return point;
    const left = (point.across / most.across) * SIZE.width;
    const label = { left, right: left + point.label.length * LETTER.width };
    const top = (1 - point.dollars / most.dollars) * SIZE.height;
    const isFree = placed.every(
      (one) => one.right < left || one.left > label.right || Math.abs(one.top - top) > LETTER.height,
    );
    if (!isFree || label.right > SIZE.width) return { ...point, label: "" };
    placed.push({ ...label, top });
    return point;
  });
}

function subtitleOf({ isl, osl, ttft }: SizeOptions, points: readonly Point[]): string[] {
  const [first, ...others] = new Set(points.map(({ series }) => series));
  // Of several the legend tells.
  const one = first === undefined || others.length > 0 ? [] : [first];
  return [
    ...one,
    `Prompts of ${isl} tokens, answers of ${osl}, at most ${ttft} ms to the first token; at full load`,
    "Predicted by NVIDIA's AIConfigurator, not measured",
  ];
}

/** Faster and dearer from point to point. */
function seriesOf(curve: readonly Priced[]): Point[] {
  const seriesName = ({ engine, accelerator }: Priced) => `${engine} on ${accelerator}`;
  return [...new Set(curve.map(seriesName))].flatMap((series) => {
    const points = frontier(curve.filter((layout) => seriesName(layout) === series));
    return points.map(({ layout, across, dollars }, index) => {
      const text = layoutText(layout);
      const before = points[index - 1];
      const isNew = before === undefined || layoutText(before.layout) !== text;
      return { series, across, dollars, layout: text, label: isNew ? text : "" };
    });
  });
}

function frontier(layouts: readonly Priced[]) {
  const points = layouts
    .flatMap((layout) => {
      const { tokensPerSecondPerUser: across, dollarsPerMillionTokens: dollars } = layout;
      return dollars === null ? [] : [{ layout, across, dollars }];
    })
    .toSorted((a, b) => a.dollars - b.dollars || b.across - a.across);
  let fastest = 0;
  return points.filter(({ across }) => {
    const isFaster = across > fastest;
    fastest = Math.max(fastest, across);
    return isFaster;
  });
}
