import fc from "fast-check";
import { XMLParser, XMLValidator } from "fast-xml-parser";
import { describe, expect, it } from "vitest";
import { ConfigError } from "../../config/problems";
import { parseConfig } from "../../plan/config";
import { type Block, layoutOf } from "../../plan/drawing/layout";
import { drawPicture } from "../../plan/drawing/picture";
import type { Box } from "../../plan/drawing/svg";
import { plan } from "../../plan/plan";
import type { DeploymentPlan } from "../../plan/types";
import { type Deployment, likelyDeployment, SERVICES, SHAPES } from "./planShapes";

const planOf = (input: Deployment) => plan(parseConfig(input), SERVICES);

/** All texts of a picture, including tooltips. */
function textsOf(svg: string): string[] {
  expect(XMLValidator.validate(svg)).toBe(true);
  const texts: string[] = [];
  const walk = (node: unknown): void => {
    if (typeof node === "string") texts.push(node);
    else if (typeof node === "object" && node !== null) Object.values(node).forEach(walk);
  };
  walk(new XMLParser({ parseTagValue: false, ignoreAttributes: true }).parse(svg));
  return texts;
}

function ifPlannable(input: Deployment): DeploymentPlan | undefined {
  try {
    return planOf(input);
  } catch (error) {
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
}

const overlap = (a: Box, b: Box): boolean =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
const inside = (inner: Box, outer: Box): boolean =>
  inner.x >= outer.x &&
  inner.y >= outer.y &&
  inner.x + inner.width <= outer.x + outer.width &&
  inner.y + inner.height <= outer.y + outer.height;

/** Each GPU of the block once. */
const devices = ({ gpus: [first, last] }: Block) =>
  Array.from({ length: last - first + 1 }, (_, n) => first + n);

describe("the picture of a plan", () => {
  it.each(Object.keys(SHAPES) as (keyof typeof SHAPES)[])("of %s names every program", (shape) => {
    const planned = planOf(SHAPES[shape]);
    const texts = textsOf(drawPicture(planned));
    for (const { programs } of planned.clusters.flatMap(({ nodes }) => nodes))
      for (const { name } of programs)
        expect(
          texts.some((text) => text === name || text.startsWith(`${name}, `)),
          name,
        ).toBe(true);
  });

  it("shows the KV cache's way where prefill and decode are apart, and only there", () => {
    const says = "KV cache, from prefill to decode";
    expect(textsOf(drawPicture(planOf(SHAPES.disagg)))).toContain(says);
    expect(textsOf(drawPicture(planOf(SHAPES.single)))).not.toContain(says);
  });

  it("shows which ranks are one replica, and only where one spans nodes", () => {
    expect(textsOf(drawPicture(planOf(SHAPES.multi)))).toContain("ranks of one replica");
    expect(textsOf(drawPicture(planOf(SHAPES.single)))).not.toContain("ranks of one replica");
  });

  it("shows idle GPUs as such", () => {
    const idle = {
      ...SHAPES.single,
      cluster: { allowIdleGpus: true },
      pools: [{ role: "aggregated", replicas: 6 }],
    };
    expect(textsOf(drawPicture(planOf(idle as Deployment)))).toContain("GPU 6–7: idle");
  });

  it("shows the first of very many nodes and clusters", () => {
    const pools = [{ role: "aggregated", replicas: 800 }] as const;
    const nodes = drawPicture(planOf({ ...SHAPES.single, cluster: { nodes: 100 }, pools }));
    expect(textsOf(nodes)).toContain("… and 96 more nodes");
    const dedicated = [{ role: "aggregated", tensorParallel: 8, replicas: 50 }] as const;
    const clusters = drawPicture(planOf({ ...SHAPES.single, placement: "dedicated", pools: dedicated }));
    expect(textsOf(clusters)).toContain("… and 47 more clusters");
    expect(nodes.length + clusters.length).toBeLessThan(60_000);
  });

  it("keeps a name with the characters of XML as it is", () => {
    const planned = { ...planOf(SHAPES.single), model: `</title><script>"&'` };
    const svg = drawPicture(planned);
    expect(svg).not.toContain("<script");
    expect(XMLValidator.validate(svg)).toBe(true);
  });

  it("puts every GPU in one block, inside its node, and nothing on top of anything else", () => {
    fc.assert(
      fc.property(likelyDeployment, (input) => {
        const planned = ifPlannable(input);
        fc.pre(planned !== undefined);
        const { clusters, width, height } = layoutOf(planned);
        for (const { box, nodes } of clusters) {
          expect(inside(box, { x: 0, y: 0, width, height })).toBe(true);
          for (const { node, box: frame, blocks, chips } of nodes) {
            expect(inside(frame, box)).toBe(true);
            expect(blocks.flatMap(devices)).toEqual(Array.from({ length: node.gpus }, (_, gpu) => gpu));
            const boxes = [...blocks, ...chips].map((thing) => thing.box);
            expect(boxes.every((thing) => inside(thing, frame))).toBe(true);
            expect(boxes.some((a, i) => boxes.slice(i + 1).some((b) => overlap(a, b)))).toBe(false);
          }
        }
        expect(XMLValidator.validate(drawPicture(planned))).toBe(true);
      }),
      { numRuns: 100 },
    );
  });
});
