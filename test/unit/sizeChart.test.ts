/** The labels of the picture of `size`, as they are drawn. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chartSpec } from "../../cli/size/chart";
import { type Box, boxOf, crosses, overlap, placesOf, type Spot } from "../../cli/size/labels";
import type { Priced } from "../../cli/size/layouts";
import { size } from "../../cli/size/size";
import { svgOf, toldApart } from "../../cli/vega";
import { recordedSources, sizeOptions } from "./sizeAsked";

const FRAME = { width: 720, height: 420 };
const asked = sizeOptions({ engine: ["vllm"], price: ["2.5"], chart: "new-picture.svg" });
const curve = async () => (await size(asked, recordedSources)).curve;

type Change = (layout: Priced) => Partial<Priced>;
const changed = (layouts: readonly Priced[], change: Change) =>
  layouts.map((layout) => ({ ...layout, ...change(layout) }));

/** As many curves, each a little dearer than the one before. */
const curves = (layouts: readonly Priced[], count: number) =>
  Array.from({ length: count }, (_, index) =>
    changed(layouts, ({ dollarsPerMillionTokens }) => ({
      accelerator: `A${index}`,
      dollarsPerMillionTokens: (dollarsPerMillionTokens ?? 0) * (1 + index / 50),
    })),
  ).flat();

interface Drawn {
  readonly text: string;
  readonly box: Box;
}

/** The texts inside of the frame, by what is in the picture: letters of 0.6 of their height. */
function textsIn(svg: string): Drawn[] {
  const texts =
    /text-anchor="(start|end)" transform="translate\(([\d.-]+),([\d.-]+)\)" font-family="[^"]*" font-size="(10|11)px" fill="[^"]*">([^<]*[×:][^<]*)</g;
  return [...svg.matchAll(texts)].map(([, anchor, x = "", y = "", height = "", text = ""]) => {
    const width = text.length * 0.6 * Number(height);
    const left = anchor === "start" ? Number(x) : Number(x) - width;
    // It stands on y.
    const sides = { left, right: left + width, top: Number(y) - 0.75 * Number(height), bottom: Number(y) };
    return { text, box: sides };
  });
}

describe("labels", () => {
  it.each<[string, least: number, (layouts: readonly Priced[]) => readonly Priced[], tpot?: string]>([
    ["as recorded", 10, (layouts) => layouts],
    ["of three engines", 12, (layouts) => curves(layouts, 3)],
    ["of many engines and accelerators", 15, (layouts) => curves(layouts, 18)],
    ["of a promise that nothing keeps", 8, (layouts) => layouts, "1"],
    ["of a promise that all keep", 8, (layouts) => layouts, "600"],
    [
      "of points at the right and at the bottom",
      3,
      (layouts) =>
        changed(layouts, (layout) => ({
          tokensPerSecondPerUser: 300 + layout.tokensPerSecondPerUser / 10,
          dollarsPerMillionTokens: (layout.dollarsPerMillionTokens ?? 0) ** 6,
        })),
    ],
  ])("%s are in the frame, and none lies over another", async (_, least, change, tpot = "20") => {
    const options = { ...asked, tpot: Number(tpot) };
    const svg = await svgOf(chartSpec(change(await curve()), options));
    const texts = textsIn(svg);
    expect(texts.map(({ text }) => text)).toContain(`kept to the right: ${tpot} ms for each token`);
    expect(texts.length).toBeGreaterThan(least);
    for (const { text, box } of texts) {
      expect(box.left, text).toBeGreaterThanOrEqual(0);
      expect(box.right, text).toBeLessThanOrEqual(FRAME.width);
      expect(box.top, text).toBeGreaterThanOrEqual(0);
      expect(box.bottom, text).toBeLessThanOrEqual(FRAME.height);
    }
    const pairs = texts.flatMap((one, index) => texts.slice(index + 1).map((other) => [one, other] as const));
    expect(pairs.filter(([one, other]) => overlap(one.box, other.box))).toEqual([]);
  });

  const spot = fc.record({ x: fc.integer({ min: 0, max: 720 }), y: fc.integer({ min: 0, max: 420 }) });
  const labels = fc.array(
    fc.tuple(spot, fc.constantFrom("8 × TP2", "prefill 14 × TP1, decode 9 × TP2")).map(([at, text]) => ({
      ...at,
      text,
    })),
    { maxLength: 30 },
  );

  it("lie over no line, and are left out only where there is no room", () => {
    fc.assert(
      fc.property(labels, fc.array(fc.tuple(spot, spot), { maxLength: 4 }), (all, pairs) => {
        const lines = pairs.map(([from, to]) => ({ from, to }));
        const places = placesOf(all, { ...FRAME, fontSize: 10, lines, boxes: [] });
        const boxes = all.flatMap((label, index) => {
          const place = places[index];
          return place === undefined ? [] : [boxOf(label.text, 10, label, place)];
        });
        expect(boxes.filter((box) => lines.some((line) => crosses(line, box)))).toEqual([]);
        expect(boxes.filter((box, at) => boxes.slice(at + 1).some((one) => overlap(one, box)))).toEqual([]);
      }),
    );
    const middle = { x: 300, y: 200, text: "8 × TP2" };
    expect(placesOf([middle], { ...FRAME, fontSize: 10, lines: [], boxes: [] })).not.toContain(undefined);
  });

  it.each<[string, Spot, Spot, boolean]>([
    ["through it", { x: 0, y: 5 }, { x: 30, y: 5 }, true],
    ["across a corner", { x: 8, y: 0 }, { x: 20, y: 12 }, true],
    ["in it", { x: 12, y: 3 }, { x: 12, y: 3 }, true],
    ["beside it", { x: 0, y: 0 }, { x: 0, y: 20 }, false],
    ["that ends before it", { x: 0, y: 5 }, { x: 9, y: 5 }, false],
    ["past a corner", { x: 0, y: 8 }, { x: 12, y: 20 }, false],
  ])("a line %s", (_, from, to, expected) => {
    expect(crosses({ from, to }, { left: 10, right: 20, top: 0, bottom: 10 })).toBe(expected);
  });
});

it("lines are told apart by colour and dash together, also where there are more than colours", () => {
  const rows = Array.from({ length: 18 }, (_, index) => ({ series: `s${index}` }));
  const dashes = toldApart(rows).strokeDash.scale.range;
  // Colours begin again after the fifth.
  const looks = dashes.map((dash, index) => `${index % 5} ${dash}`);
  expect(new Set(looks).size).toBe(rows.length);
});
