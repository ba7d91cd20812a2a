/** A plan as text for a terminal: nodes × GPUs, placement and ports. */

import { quoted } from "../../lib/shell";
import { counted } from "../../lib/words";
import type { ClusterPlan, DeploymentPlan, NodePlan, ProgramPlan } from "../types";
import { programsOf } from "../types";
import {
  clusterTitle,
  few,
  headline,
  isWorkerRole,
  LETTERS,
  nodeTitle,
  portsText,
  seatName,
  WORDS,
} from "./words";

export interface DrawOptions {
  /** Width of the terminal, in columns. Default: 100. */
  readonly width?: number;
  /** Whether to print every program's command and environment. Default: false. */
  readonly commands?: boolean;
}

const IDLE = "·";
const DEFAULT_WIDTH = 100;
/** Width of a box's two sides, in columns. */
const FRAME = 4;

/** The whole deployment. The text ends with a line break. */
export function drawPlan(plan: DeploymentPlan, options: DrawOptions = {}): string {
  const { width = DEFAULT_WIDTH, commands = false } = options;
  const parts = [
    summary(plan),
    ...plan.clusters.map((cluster) => drawCluster(cluster, width)),
    legend(plan),
    ...(commands ? plan.clusters.map(drawCommands) : []),
  ];
  return `${parts.filter((part) => part !== "").join("\n\n")}\n`;
}

function summary(plan: DeploymentPlan): string {
  const { what, size } = headline(plan);
  const { cluster, rank, port } = plan.endpoint;
  return [what, size, `endpoint: cluster ${cluster}, node ${rank}, port ${port}`].join("\n");
}

/** A cluster's nodes as boxes; only the first few of very many. */
function drawCluster(cluster: ClusterPlan, width: number): string {
  const { shown, hidden } = few(cluster.nodes);
  const more = hidden > 0 ? [`… and ${counted(hidden, "more node")}`] : [];
  return [clusterTitle(cluster), ...drawNodes(shown, width), ...more].join("\n");
}

/** Boxes of equal width, as narrow as the contents allow. */
function drawNodes(nodes: readonly NodePlan[], width: number): string[] {
  const drawn = nodes.map((node) => ({
    head: nodeTitle(node),
    lines: [
      ...gpuRows(node, width - FRAME),
      ...node.programs.flatMap((program) => programLines(program, width - FRAME)),
    ],
  }));
  const inner = Math.max(
    ...drawn.flatMap(({ head, lines }) => [`${head} `, ...lines].map(({ length }) => length)),
  );
  return drawn.map(({ head, lines }) =>
    [
      `┌─ ${head} ${"─".repeat(inner - head.length - 1)}┐`,
      ...lines.map((line) => `│ ${line.padEnd(inner)} │`),
      `└${"─".repeat(inner + 2)}┘`,
    ].join("\n"),
  );
}

/** One cell per GPU with its program; neighbouring GPUs of one program share a cell. */
function gpuRows(node: NodePlan, width: number): string[] {
  if (node.gpus === 0) return [];
  const names = Array.from({ length: node.gpus }, (_, gpu) => {
    const owners = node.programs.filter(({ gpus }) => gpus.includes(gpu));
    return owners.map(seatName).join("+") || IDLE;
  });
  const cell = Math.max(2, ...names.map((name) => name.length)) + 2;
  const perRow = Math.max(1, Math.floor((width - 4) / cell));
  const rows: string[] = [];
  for (let from = 0; from < names.length; from += perRow) {
    const shown = names.slice(from, from + perRow);
    rows.push(`GPU ${shown.map((_, index) => String(from + index).padStart(cell)).join("")}`);
    rows.push(`    ${shown.map((name) => name.padStart(cell)).join("")}`);
  }
  return rows;
}

/** A program and all its ports, wrapped if the line is too short. */
function programLines(program: ProgramPlan, width: number): string[] {
  const seat = isWorkerRole(program.role) ? seatName(program) : "";
  const name = `${seat.padEnd(6)}${program.name.padEnd(20)} `;
  const rows: string[] = [];
  for (const port of portsText(program.ports).split(", ")) {
    const last = rows.at(-1);
    if (last !== undefined && name.length + last.length + port.length + 2 < width)
      rows[rows.length - 1] = `${last}, ${port}`;
    else rows.push(port);
  }
  return rows.map((row, index) => {
    const isLast = index === rows.length - 1;
    return `${index === 0 ? name : " ".repeat(name.length)}${row}${isLast ? "" : ","}`.trimEnd();
  });
}

function legend(plan: DeploymentPlan): string {
  const programs = programsOf(plan);
  const roles = [...new Set(programs.map(({ role }) => role))].filter(isWorkerRole);
  const entries = roles.map((role) => `${LETTERS[role]} ${WORDS[role]}`);
  const ranked = programs.find(({ rank }) => rank > 0);
  const hasIdle = plan.clusters.some(({ nodes }) => nodes.some((node) => node.idleGpus.length > 0));
  return [
    ...entries,
    ...(ranked === undefined ? [] : [`${seatName(ranked)} rank ${ranked.rank} of replica ${ranked.replica}`]),
    ...(hasIdle ? [`${IDLE} idle`] : []),
  ].join("   ");
}

const DAEMON_NOTE = "# with the arguments that mpirun on the replica's first node gives it";

/** Every program's environment and command, as in a POSIX shell. */
function drawCommands(cluster: ClusterPlan): string {
  const blocks = cluster.nodes.flatMap((node) =>
    node.programs.map((program) =>
      [
        `# cluster ${cluster.name}, node ${node.rank}: ${program.name}`,
        ...Object.entries(program.env).map(([name, value]) => `${name}=${quoted(value)} \\`),
        ...program.secretEnv.map((name) => `# ${name} comes from the node's secrets`),
        ...(program.mpi !== undefined && program.rank > 0 ? [DAEMON_NOTE] : []),
        wrapped(program.command.map(quoted)),
      ].join("\n"),
    ),
  );
  return blocks.join("\n\n");
}

/** One flag with its value per line. */
function wrapped(argv: readonly string[]): string {
  const lines: string[] = [];
  for (const argument of argv) {
    const last = lines.at(-1);
    if (last !== undefined && !argument.startsWith("--")) lines[lines.length - 1] = `${last} ${argument}`;
    else lines.push(argument);
  }
  return lines.join(" \\\n  ");
}
