/** Layout of a picture of a plan. Unit of all lengths: pixels. */
import type { ClusterPlan, DeploymentPlan, NodePlan, ProgramPlan } from "../types";
import type { Box } from "./svg";
import { few, isWorkerRole } from "./words";

/** A program without a GPU: control plane and endpoint. */
export interface Chip {
  readonly program: ProgramPlan;
  readonly box: Box;
}

/** Neighbouring GPUs of one program, its part of a shared one, or neighbouring idle ones. */
export interface Block {
  readonly program: ProgramPlan | undefined;
  readonly gpus: readonly [first: number, last: number];
  readonly box: Box;
}

export interface NodeLayout {
  readonly node: NodePlan;
  readonly box: Box;
  readonly chips: readonly Chip[];
  readonly blocks: readonly Block[];
  /** Height of the request line, above the GPUs. */
  readonly requestRail: number;
  /** Height of the KV cache line from prefill to decode workers, below the GPUs. */
  readonly cacheRail: number;
}

export interface ClusterLayout {
  readonly cluster: ClusterPlan;
  readonly box: Box;
  readonly nodes: readonly NodeLayout[];
  /** Number of nodes not drawn. */
  readonly hiddenNodes: number;
}

export interface Layout {
  readonly width: number;
  readonly height: number;
  readonly clusters: readonly ClusterLayout[];
  /** Number of clusters not drawn. */
  readonly hiddenClusters: number;
  readonly legendTop: number;
}

/** Space on both sides of the nodes, for the lines between nodes. */
export const GUTTER = 44;
export const MARGIN = 20;
const WIDTH = 960;
const TITLE_HEIGHT = 104;
const CLUSTER_HEADING = 30;
const NODE_HEADING = 30;
const PADDING = 14;
const GAP = 14;
const CHIP = { height: 40, width: 128, gap: 12 };
const RAIL = 16;
const GPU_HEIGHT = 58;
const MORE_HEIGHT = 22;
const LEGEND_HEIGHT = 78;

export function layoutOf(plan: DeploymentPlan): Layout {
  const { shown, hidden } = few(plan.clusters);
  const clusters: ClusterLayout[] = [];
  let y = TITLE_HEIGHT;
  for (const cluster of shown) {
    const placed = layoutCluster(cluster, y, plan);
    clusters.push(placed);
    y = placed.box.y + placed.box.height + GAP;
  }
  const legendTop = y + (hidden > 0 ? MORE_HEIGHT : 0);
  return { width: WIDTH, height: legendTop + LEGEND_HEIGHT, clusters, hiddenClusters: hidden, legendTop };
}

function layoutCluster(cluster: ClusterPlan, top: number, plan: DeploymentPlan): ClusterLayout {
  const { shown, hidden } = few(cluster.nodes);
  const nodes: NodeLayout[] = [];
  let y = top + CLUSTER_HEADING;
  for (const node of shown) {
    const placed = layoutNode(node, y, plan);
    nodes.push(placed);
    y = placed.box.y + placed.box.height + GAP;
  }
  const height = y - top + (hidden > 0 ? MORE_HEIGHT : 0);
  const box = { x: MARGIN, y: top, width: WIDTH - 2 * MARGIN, height };
  return { cluster, box, nodes, hiddenNodes: hidden };
}

function layoutNode(node: NodePlan, top: number, { expectedWorkers }: DeploymentPlan): NodeLayout {
  const x = MARGIN + GUTTER;
  const width = WIDTH - 2 * x;
  const inner = { x: x + PADDING, width: width - 2 * PADDING };
  const services = node.programs.filter(({ role }) => !isWorkerRole(role));
  const chipRows = placeChips(services, inner.x, top + NODE_HEADING, inner.width);
  const requestRail = chipRows.bottom + RAIL / 2;
  const gpuTop = chipRows.bottom + RAIL;
  const gpuHeight = node.gpus === 0 ? 0 : GPU_HEIGHT;
  const cacheRail = gpuTop + gpuHeight + RAIL / 2;
  const isDisaggregated = expectedWorkers.prefill > 0 && node.gpus > 0;
  const bottom = gpuTop + gpuHeight + (isDisaggregated ? RAIL : 0) + PADDING / 2;
  return {
    node,
    box: { x, y: top, width, height: bottom - top },
    chips: chipRows.chips,
    blocks: placeBlocks(node, { ...inner, y: gpuTop, height: GPU_HEIGHT }),
    requestRail,
    cacheRail,
  };
}

/** Programs that clients reach first come first; as many per row as fit. */
function placeChips(programs: readonly ProgramPlan[], left: number, top: number, width: number) {
  const endpoint = ["gateway", "frontend"];
  const rankOf = ({ role }: ProgramPlan) => endpoint.indexOf(role) + (endpoint.includes(role) ? 0 : 9);
  const perRow = Math.floor((width + CHIP.gap) / (CHIP.width + CHIP.gap));
  const chips = programs
    .toSorted((a, b) => rankOf(a) - rankOf(b))
    .map((program, index): Chip => {
      const x = left + (index % perRow) * (CHIP.width + CHIP.gap);
      const y = top + Math.floor(index / perRow) * (CHIP.height + CHIP.gap);
      return { program, box: { x, y, width: CHIP.width, height: CHIP.height } };
    });
  const last = chips.at(-1)?.box;
  return { chips, bottom: last === undefined ? top : last.y + last.height };
}

function placeBlocks(node: NodePlan, strip: Box): Block[] {
  const cell = strip.width / Math.max(1, node.gpus);
  // Ranges of GPUs: programs that share a GPU have a part of it each.
  const runs: { program: ProgramPlan | undefined; first: number; last: number; from: number; to: number }[] =
    [];
  for (let gpu = 0; gpu < node.gpus; gpu++) {
    const owners = node.programs.filter(({ gpus }) => gpus.includes(gpu));
    const run = runs.at(-1);
    if (run !== undefined && owners.length < 2 && run.program === owners[0]) {
      run.last = gpu;
      run.to = gpu + 1;
      continue;
    }
    const parts = owners.length === 0 ? [undefined] : owners;
    parts.forEach((program, index) => {
      const [from, to] = [gpu + index / parts.length, gpu + (index + 1) / parts.length];
      runs.push({ program, first: gpu, last: gpu, from, to });
    });
  }
  const between = Math.min(8, cell / 5);
  return runs.map(({ program, first, last, from, to }) => ({
    program,
    gpus: [first, last],
    box: {
      x: strip.x + from * cell + (from === 0 ? 0 : between / 2),
      y: strip.y,
      width: (to - from) * cell - (from === 0 ? 0 : between / 2) - (to === node.gpus ? 0 : between / 2),
      height: strip.height,
    },
  }));
}
