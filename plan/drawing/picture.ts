/** A plan as a picture (SVG): GPUs of each program, and the paths of requests and KV cache. */

import { counted } from "../../lib/words";
import type { DeploymentPlan, ProgramPlan, WorkerRole } from "../types";
import { programsOf } from "../types";
import {
  type Block,
  type Chip,
  type ClusterLayout,
  GUTTER,
  type Layout,
  layoutOf,
  MARGIN,
  type NodeLayout,
} from "./layout";
import { type Attributes, type Box, element, escaped, line, type Point, panel, text } from "./svg";
import { clusterTitle, headline, isWorkerRole, nodeTitle, portsText, seatName, span, WORDS } from "./words";

/**
 * Distinguishable with all common kinds of colour blindness: https://jfly.uni-koeln.de/color/ (Okabe and
 * Ito).
 */
const COLOURS: Readonly<Record<WorkerRole, { readonly line: string; readonly fill: string }>> = {
  aggregated: { line: "#0072b2", fill: "#d4e7f5" },
  prefill: { line: "#b86e00", fill: "#fce8c8" },
  decode: { line: "#00795a", fill: "#cdeee2" },
  encode: { line: "#8a5a83", fill: "#f0dfec" },
};
const REQUESTS = { stroke: "#444", "stroke-width": 1.5 };
const CACHE = { stroke: "#b0468a", "stroke-width": 2.5 };
const RANKS = { "stroke-width": 1.5, "stroke-dasharray": "4 3" };
const INK = "#222";
const FAINT = "#666";
/** Approximate maximum width of a character in the 11-pixel bold font. */
const CHARACTER = 7;
const CLIENT: Box = { x: MARGIN, y: 62, width: 118, height: 28 };

/** The whole deployment as an SVG document. Deterministic. */
export function drawPicture(plan: DeploymentPlan): string {
  const layout = layoutOf(plan);
  const parts = [
    element("title", {}, escaped(headline(plan).what)),
    panel({ x: 0, y: 0, width: layout.width, height: layout.height }, { fill: "#fff" }),
    ...drawTitle(plan),
    ...layout.clusters.flatMap(drawFrames),
    ...drawRequests(layout),
    ...drawCache(layout),
    ...layout.clusters.flatMap(drawRankLinks),
    ...layout.clusters.flatMap(({ nodes }) => nodes.flatMap((node) => node.blocks.flatMap(drawBlock))),
    ...layout.clusters.flatMap(({ nodes }) =>
      nodes.flatMap((node) => node.chips.flatMap((chip) => drawChip(plan, chip))),
    ),
    ...drawLegend(plan, layout),
  ];
  const { width, height } = layout;
  const attributes = {
    xmlns: "http://www.w3.org/2000/svg",
    viewBox: `0 0 ${width} ${height}`,
    width,
    height,
    "font-family": "system-ui, 'DejaVu Sans', sans-serif",
    "font-size": 11,
    fill: INK,
    role: "img",
  };
  return `${element("svg", attributes, "\n", `${parts.join("\n")}\n`)}\n`;
}

function drawTitle(plan: DeploymentPlan): string[] {
  const { what, size } = headline(plan);
  return [
    text({ x: MARGIN, y: 28 }, what, { "font-size": 17, "font-weight": 600 }),
    text({ x: MARGIN, y: 48 }, size, { "font-size": 12, fill: FAINT }),
    panel(CLIENT, { fill: "#fff", stroke: "#444", rx: 14 }),
    text(middle(CLIENT, 4), "OpenAI client", { "text-anchor": "middle", "font-weight": 600 }),
  ];
}

const middle = ({ x, y, width, height }: Box, down = 0): Point => ({
  x: x + width / 2,
  y: y + height / 2 + down,
});

function drawFrames({ cluster, box, nodes, hiddenNodes }: ClusterLayout): string[] {
  const more = { x: box.x + GUTTER, y: box.y + box.height - 12 };
  return [
    panel(box, { fill: "#f6f7f9", stroke: "#d0d4da", rx: 10 }),
    text({ x: box.x + GUTTER, y: box.y + 20 }, clusterTitle(cluster), {
      "font-size": 13,
      "font-weight": 600,
    }),
    ...nodes.flatMap(({ node, box: frame }) => [
      panel(frame, { fill: "#fff", stroke: "#b9bfc7" }),
      text({ x: frame.x + 14, y: frame.y + 20 }, nodeTitle(node), { "font-weight": 600, fill: FAINT }),
    ]),
    ...(hiddenNodes > 0 ? [text(more, `… and ${counted(hiddenNodes, "more node")}`, { fill: FAINT })] : []),
  ];
}

/** The line that connects the endpoint and every node. */
const BUS = MARGIN + GUTTER / 2;

/**
 * From the client to the endpoint, from there along the left side to every node, and down into each worker
 * that receives requests.
 */
function drawRequests({ clusters }: Layout): string[] {
  const nodes = clusters.flatMap((cluster) => cluster.nodes);
  const head = nodes.find((node) => node.chips.some(isFrontend));
  const endpoint = head?.chips[0];
  if (head === undefined || endpoint === undefined) return [];
  const door = { x: endpoint.box.x, y: middle(endpoint.box).y };
  const way = [
    { x: BUS, y: CLIENT.y + CLIENT.height },
    { x: BUS, y: door.y },
    { x: door.x - 2, y: door.y },
  ];
  const others = nodes.filter((node) => node !== head && node.blocks.some(takesRequests));
  const lowest = Math.max(...others.map((node) => node.requestRail));
  const bus = [
    line(
      [
        { x: BUS, y: head.requestRail },
        { x: BUS, y: lowest },
      ],
      REQUESTS,
    ),
    line(
      [
        { x: BUS, y: head.requestRail },
        { x: lastFrontend(head), y: head.requestRail },
      ],
      REQUESTS,
    ),
  ];
  return [
    line(way, { ...REQUESTS, "stroke-width": 2 }),
    arrow(door, "right", REQUESTS.stroke),
    ...frontendTicks(head),
    ...(others.length > 0 ? bus : []),
    ...requestRail(head, middle(head.chips.find(isFrontend)?.box ?? endpoint.box).x),
    ...others.flatMap((node) => requestRail(node, BUS)),
  ];
}

/** Above the GPUs of a node, with an arrow down into each worker that receives requests. */
function requestRail({ blocks, requestRail: y }: NodeLayout, from: number): string[] {
  const served = blocks.filter(takesRequests);
  const stops = served.map(({ box }) => middle(box).x);
  if (stops.length === 0) return [];
  return [
    line(
      [
        { x: Math.min(from, ...stops), y },
        { x: Math.max(from, ...stops), y },
      ],
      REQUESTS,
    ),
    ...served.map(({ box }) => arrow({ x: middle(box).x, y: box.y }, "down", REQUESTS.stroke)),
  ];
}

/** Rank 0 of a replica; the other ranks get them from it. */
function takesRequests({ program }: Block): boolean {
  return program !== undefined && program.rank === 0;
}

const isFrontend = ({ program }: Chip): boolean => program.role === "frontend";

function lastFrontend({ chips }: NodeLayout): number {
  return Math.max(...chips.filter(isFrontend).map(({ box }) => middle(box).x));
}

/** From frontends to the line below them; and from the gateway, if there is one, to the frontends. */
function frontendTicks({ chips, requestRail }: NodeLayout): string[] {
  const frontends = chips.filter(isFrontend);
  const gateway = chips.find(({ program }) => program.role === "gateway");
  const down = frontends.map(({ box }) =>
    line(
      [
        { x: middle(box).x, y: box.y + box.height },
        { x: middle(box).x, y: requestRail },
      ],
      REQUESTS,
    ),
  );
  const [first] = frontends;
  if (gateway === undefined || first === undefined) return down;
  const from = { x: gateway.box.x + gateway.box.width, y: middle(gateway.box).y };
  return [
    ...down,
    line([from, { x: first.box.x, y: from.y }], REQUESTS),
    arrow({ x: first.box.x, y: from.y }, "right", REQUESTS.stroke),
  ];
}

/** Along the right side, from prefill to decode workers; nothing without disaggregation. */
function drawCache({ clusters }: Layout): string[] {
  const nodes = clusters
    .flatMap((cluster) => cluster.nodes)
    .map((node) => ({ ...node, moving: node.blocks.filter(movesCache) }))
    .filter(({ moving }) => moving.length > 0);
  const heights = nodes.map(({ cacheRail }) => cacheRail);
  const busX = Math.max(0, ...nodes.map(({ box }) => box.x + box.width)) + GUTTER / 2;
  return [
    ...nodes.flatMap(({ moving, cacheRail }) => {
      const centres = moving.map(({ box }) => middle(box).x);
      const end = nodes.length > 1 ? busX : Math.max(...centres);
      return [
        line(
          [
            { x: Math.min(...centres), y: cacheRail },
            { x: end, y: cacheRail },
          ],
          CACHE,
        ),
        ...moving.flatMap(({ box, program }) => cacheTick(box, cacheRail, program)),
      ];
    }),
    ...(nodes.length > 1
      ? [
          line(
            [
              { x: busX, y: Math.min(...heights) },
              { x: busX, y: Math.max(...heights) },
            ],
            CACHE,
          ),
        ]
      : []),
  ];
}

function movesCache({ program }: Block): boolean {
  return program?.role === "prefill" || program?.role === "decode";
}

function cacheTick(box: Box, rail: number, program: ProgramPlan | undefined): string[] {
  const at = { x: middle(box).x, y: box.y + box.height };
  const tick = line([at, { x: at.x, y: rail }], CACHE);
  return program?.role === "decode" ? [tick, arrow(at, "up", CACHE.stroke)] : [tick];
}

/** Between the ranks of a replica over several nodes. */
function drawRankLinks({ nodes }: ClusterLayout): string[] {
  const blocks = nodes.flatMap((node) => node.blocks);
  const next = ({ role, replica, rank }: ProgramPlan) =>
    blocks.find(
      ({ program }) => program?.role === role && program.replica === replica && program.rank === rank + 1,
    );
  return blocks.flatMap(({ program, box }) => {
    const other = program === undefined ? undefined : next(program);
    if (program === undefined || other === undefined) return [];
    const colour = isWorkerRole(program.role) ? COLOURS[program.role].line : INK;
    // Beside the middle, where requests arrive.
    const from = { x: box.x + box.width * 0.62, y: box.y + box.height };
    const to = { x: other.box.x + other.box.width * 0.62, y: other.box.y };
    return [line([from, to], { ...RANKS, stroke: colour })];
  });
}

function drawBlock({ program, gpus, box }: Block): string[] {
  const devices = `GPU ${span(...gpus)}`;
  const centre = { "text-anchor": "middle" };
  if (program === undefined)
    return [
      panel(box, { fill: "#fff", stroke: "#999", "stroke-dasharray": "3 3" }, `${devices}: idle`),
      text(middle(box, 4), "idle", { ...centre, fill: FAINT }),
    ];
  const colour = isWorkerRole(program.role) ? COLOURS[program.role] : { line: INK, fill: "#eee" };
  const fits = (label: string) => label.length * CHARACTER < box.width - 8;
  const name = fits(program.name) ? program.name : seatName(program);
  const about = `${program.name}, ${devices}: ${portsText(program.ports)}`;
  return [
    panel(box, { fill: colour.fill, stroke: colour.line, "stroke-width": 1.5 }, about),
    ...dividers(gpus, box, colour.line),
    text(middle(box, -3), name, { ...centre, "font-weight": 600, fill: colour.line }),
    ...(fits(devices) ? [text(middle(box, 13), devices, { ...centre, fill: FAINT })] : []),
  ];
}

/** Marks at the edges of a block, between its GPUs. */
function dividers([first, last]: Block["gpus"], { x, y, width, height }: Box, colour: string): string[] {
  const count = last - first + 1;
  const mark = { stroke: colour, "stroke-opacity": 0.45 };
  return Array.from({ length: count - 1 }, (_, index) => x + ((index + 1) * width) / count).flatMap((at) => [
    line(
      [
        { x: at, y },
        { x: at, y: y + 9 },
      ],
      mark,
    ),
    line(
      [
        { x: at, y: y + height - 9 },
        { x: at, y: y + height },
      ],
      mark,
    ),
  ]);
}

function drawChip(plan: DeploymentPlan, { program, box }: Chip): string[] {
  const isRouter = program.role === "frontend";
  const [port = ""] = Object.values(program.ports).map((number) => `:${number}`);
  const below = isRouter ? `router ${plan.routerMode} ${port}` : port;
  return [
    panel(box, { fill: "#eef0f3", stroke: "#7b8490" }, `${program.name}: ${portsText(program.ports)}`),
    text(middle(box, -3), program.name, { "text-anchor": "middle", "font-weight": 600 }),
    text(middle(box, 12), below, { "text-anchor": "middle", fill: FAINT, "font-size": 10 }),
  ];
}

function drawLegend(plan: DeploymentPlan, { clusters, hiddenClusters, legendTop }: Layout): string[] {
  const programs = programsOf(plan);
  const roles = [...new Set(programs.map(({ role }) => role))].filter(isWorkerRole);
  const swatches = roles.map((role) => ({
    label: WORDS[role],
    draw: (at: Point) => swatch(at, COLOURS[role]),
  }));
  // Drawn in the colour of their role: for a single role the legend shows it.
  const spanning = roles.filter((role) => programs.some((one) => one.role === role && one.rank > 0));
  const [only, ...others] = spanning;
  const rankColour = only !== undefined && others.length === 0 ? COLOURS[only].line : INK;
  const lines = [
    { label: "requests", shown: true, style: REQUESTS },
    { label: "KV cache, from prefill to decode", shown: roles.includes("prefill"), style: CACHE },
    { label: "ranks of one replica", shown: spanning.length > 0, style: { ...RANKS, stroke: rankColour } },
  ].filter(({ shown }) => shown);
  const more = { x: MARGIN + GUTTER, y: legendTop - 8 };
  const hidden =
    hiddenClusters > 0 && clusters.length > 0
      ? [text(more, `… and ${counted(hiddenClusters, "more cluster")}`, { fill: FAINT })]
      : [];
  return [
    ...hidden,
    ...spread(swatches, legendTop + 22),
    ...spread(
      lines.map(({ label, style }) => ({ label, draw: (at: Point) => stroke(at, style) })),
      legendTop + 46,
    ),
  ];
}

interface LegendEntry {
  readonly label: string;
  readonly draw: (at: Point) => string;
}

function spread(entries: readonly LegendEntry[], y: number): string[] {
  let x = MARGIN + GUTTER;
  return entries.flatMap(({ label, draw }) => {
    const drawn = [draw({ x, y }), text({ x: x + 34, y }, label)];
    x += 34 + label.length * CHARACTER + 24;
    return drawn;
  });
}

function swatch(
  { x, y }: Point,
  { fill, line: edge }: { readonly fill: string; readonly line: string },
): string {
  return panel({ x, y: y - 11, width: 26, height: 14 }, { fill, stroke: edge, "stroke-width": 1.5, rx: 3 });
}

function stroke({ x, y }: Point, style: Attributes): string {
  return line(
    [
      { x, y: y - 4 },
      { x: x + 26, y: y - 4 },
    ],
    style,
  );
}

/** The head of an arrow with its tip at a point. */
function arrow({ x, y }: Point, towards: "right" | "down" | "up", fill: string): string {
  const size = 5;
  const [a, b] = {
    right: [
      { x: x - size * 1.4, y: y - size },
      { x: x - size * 1.4, y: y + size },
    ],
    down: [
      { x: x - size, y: y - size * 1.4 },
      { x: x + size, y: y - size * 1.4 },
    ],
    up: [
      { x: x - size, y: y + size * 1.4 },
      { x: x + size, y: y + size * 1.4 },
    ],
  }[towards];
  const corners = [a, { x, y }, b].map((corner) => `${corner?.x},${corner?.y}`).join(" ");
  return element("polygon", { points: corners, fill });
}
