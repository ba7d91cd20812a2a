/**
 * The picture of `dynamo-sky size`: how fast each client is served, against what a million tokens cost. Pure.
 */
import type { TopLevelSpec } from "vega-lite";
import { HEADROOM, heading, PICTURE, STYLE, toldApart } from "../vega";
import { layoutText } from "./draw";
import { type Box, boxOf, type Line, PLACES, type Place, placesOf, type Spot } from "./labels";
import type { Priced } from "./layouts";
import type { SizeOptions } from "./options";

const SIZE = { width: 720, height: 420 };
/** Sizes of fonts. */
const FONT = { label: 10, promise: 11 } as const;
/** Where the promise is. */
const PROMISE = "#666";

interface Point {
  readonly series: string;
  readonly across: number;
  readonly dollars: number;
  readonly layout: string;
  /** Where the layout is another than at the point before, and there is room to say so. */
  readonly label: string;
  /** Of {@link PLACES}. */
  readonly place?: number;
}

/** The highest values of the axes. */
type Most = Pick<Point, "across" | "dollars">;

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
  const promise = promiseOf(options, promised, most);
  const rows = withRoom(points, most, promise);
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
        mark: { type: "text", ...promise.place, baseline: "middle", color: PROMISE, fontSize: FONT.promise },
        encoding: { ...line, y: { value: 0 }, text: { value: promise.text } },
      },
      {
        mark: { type: "line", strokeWidth: 2 },
        encoding: { ...encoding, color, strokeDash, order: { field: "across", type: "quantitative" } },
      },
      {
        mark: { type: "point", filled: true, size: 45 },
        encoding: { ...encoding, color, tooltip: { field: "layout" } },
      },
      ...PLACES.map((place, index) => ({
        transform: [{ filter: `datum.place === ${index}` }],
        mark: { type: "text" as const, ...place, baseline: "middle" as const, fontSize: FONT.label },
        encoding: { ...encoding, color, text: { field: "label" } },
      })),
    ],
  };
}

const spotOf = ({ across, dollars }: Most, most: Most): Spot => ({
  x: (across / most.across) * SIZE.width,
  y: (1 - dollars / most.dollars) * SIZE.height,
});

/** What is written at the line of the promise: to the right of it, if there is room. */
function promiseOf({ tpot }: SizeOptions, across: number, most: Most) {
  const text = `kept to the right: ${tpot} ms for each token`;
  const spot = spotOf({ across, dollars: most.dollars }, most);
  const right: Place = { align: "left", dx: 5, dy: 11 };
  const left: Place = { align: "right", dx: -5, dy: 11 };
  const place = boxOf(text, FONT.promise, spot, right).right <= SIZE.width ? right : left;
  const box = boxOf(text, FONT.promise, spot, place);
  return { text, place, box, line: { from: spot, to: { ...spot, y: SIZE.height } } };
}

/** Without the labels for which there is no room, and with a place for the others. */
function withRoom(points: readonly Point[], most: Most, promise: { readonly box: Box; readonly line: Line }) {
  const lines = points.flatMap((point, index): Line[] => {
    const before = points[index - 1];
    // A point alone is a line that ends where it begins.
    const from = before?.series === point.series ? before : point;
    return [{ from: spotOf(from, most), to: spotOf(point, most) }];
  });
  const labelled = points.filter(({ label }) => label !== "");
  const places = placesOf(
    labelled.map((point) => ({ ...spotOf(point, most), text: point.label })),
    { ...SIZE, fontSize: FONT.label, lines: [promise.line, ...lines], boxes: [promise.box] },
  );
  const placed = new Map(labelled.map((point, index) => [point, places[index]]));
  return points.map((point): Point => {
    const place = placed.get(point);
    return place === undefined ? { ...point, label: "" } : { ...point, place: PLACES.indexOf(place) };
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
