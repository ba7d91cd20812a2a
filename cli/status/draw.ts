/** Renders the state of a deployment as one screen of text. Pure. */
import type { Traffic } from "./metrics";
import type {
  ClusterStatus,
  KnownCause,
  NodeStatus,
  ProgramStatus,
  RequestStatus,
  RoleStatus,
  State,
  Status,
} from "./status";
import { count, dollars, duration, latency, percent, rate } from "./units";

export interface DrawOptions {
  /** Columns; longer lines are truncated. */
  readonly width: number;
  readonly colour: boolean;
  /** Name of the stack, for the first line. */
  readonly title: string;
}

const LABEL = 10;
const NONE = "–";

type Style = "bold" | "dim" | "green" | "red" | "yellow";
const CODES: Readonly<Record<Style, number>> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 };

/** A part of a line in one style. */
interface Piece {
  readonly text: string;
  readonly style?: Style | undefined;
}
type Line = readonly (Piece | string)[];

/** The lines of the screen, without line feeds. */
export function drawStatus(status: Status, options: DrawOptions): string[] {
  const lines: Line[] = [
    ...heading(status, options),
    ...status.problems.map((problem): Line => [{ text: "  ✗ ", style: "red" }, problem]),
    ...status.notes.map((note): Line => [{ text: "  ! ", style: "yellow" }, note]),
    ...status.causes.flatMap((cause) => causeLines(cause, options.width)),
    [],
    ...(status.workersDown === null ? [] : [labelled("Workers", [asleepText(status.workersDown)])]),
    ...status.roles.map((role, index) => labelled(index === 0 ? "Workers" : "", roleLine(role))),
    [],
    ...requestLines(status.requests),
    labelled("Cost", [costText(status)]),
    ...status.clusters.flatMap((cluster) => [[], ...clusterLines(cluster, status)]),
  ];
  return lines.map((line) => rendered(line, options));
}

function asleepText(since: string): string {
  return `asleep since ${since.slice(0, 16)}Z: the next request wakes them, where \`dynamo-sky operate\` runs`;
}

function heading(status: Status, { title, width }: DrawOptions): Line[] {
  const time = status.at.slice(11, 19);
  const model = status.task === "chat" ? status.model : `${status.model} (${status.task})`;
  const left = `${title}  ${model}, ${status.engine}, router ${status.routerMode}`;
  const gap = " ".repeat(Math.max(2, width - left.length - time.length - 4));
  const verdict: Line = status.healthy
    ? [{ text: "healthy", style: "green" }, `  ${status.endpoint}/v1`]
    : [{ text: "not healthy", style: "red" }, `  ${status.endpoint}/v1`];
  return [
    [{ text: title, style: "bold" }, left.slice(title.length), gap, { text: `${time} UTC`, style: "dim" }],
    verdict,
  ];
}

/** Whole, over several lines: the end is what to do. */
function causeLines({ program, title, said, advice }: KnownCause, width: number): Line[] {
  return [`${program}: ${title}: ${said}`, `Next: ${advice}`].flatMap((text) =>
    wrapped(text, Math.max(20, width - 4)).map((line): Line => ["    ", { text: line, style: "yellow" }]),
  );
}

/** Broken between words; a word longer than the width stays whole. */
function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

function labelled(label: string, line: Line): Line {
  return [{ text: label.padEnd(LABEL), style: "dim" }, ...line];
}

function roleLine({ role, ready, wanted }: RoleStatus): Line {
  const text = ready === null ? "no frontend tells" : `${ready} of ${wanted} ready`;
  return [role.padEnd(12), { text, style: ready === wanted ? undefined : "red" }];
}

function requestLines(requests: RequestStatus | null): Line[] {
  if (requests === null) return [labelled("Requests", [{ text: "no frontend answers", style: "red" }])];
  const { interval, total, running, queued } = requests;
  const columns = (now: string, start: string): Line => [now.padEnd(34), start];
  const period = interval === null ? "" : `last ${rate(interval.seconds)} s`;
  const tokens = interval === null ? NONE : `${rate(interval.outputTokens / interval.seconds)} tokens/s`;
  const perSecond = interval === null ? NONE : `${rate(interval.requestsPerSecond)} /s, ${tokens}`;
  const failed = total.failed === 0 ? "none failed" : `${count(total.failed)} failed`;
  const both = (of: (traffic: Traffic) => string) =>
    columns(interval === null ? NONE : of(interval), of(total));
  const latencies = (of: (traffic: Traffic) => Traffic["ttft"]) =>
    both((traffic) => {
      const found = of(traffic);
      return found === null ? NONE : `p50 ${latency(found.p50)}, p95 ${latency(found.p95)}`;
    });
  const hits = both(({ cacheHitRate }) => (cacheHitRate === null ? NONE : percent(cacheHitRate)));
  return [
    labelled("", [
      { text: period.padEnd(34), style: "dim" },
      { text: "since start", style: "dim" },
    ]),
    labelled("Requests", columns(perSecond, `${count(total.requests)}, ${failed}`)),
    labelled("", [`${count(running)} running, ${count(queued)} queued`]),
    labelled(
      "TTFT",
      latencies(({ ttft }) => ttft),
    ),
    labelled(
      "ITL",
      latencies(({ itl }) => itl),
    ),
    labelled("Cache hit", hits),
  ];
}

function costText({ target, cost }: Status): string {
  if (target === "local") return "none: it runs on this machine";
  const { dollarsPerHour, dollarsSoFar } = cost;
  if (dollarsPerHour === null) return "not known: SkyPilot has no price for it";
  return `${dollars(dollarsPerHour)} an hour, ${dollarsSoFar === null ? "so far not known" : `${dollars(dollarsSoFar)} so far`}`;
}

function clusterLines(cluster: ClusterStatus, status: Status): Line[] {
  const { name, since, job, nodes } = cluster;
  const up = since === undefined ? "" : ` for ${elapsed(since, status.at)}`;
  const facts = [
    `${cluster.status}${up}`,
    ...(job === undefined ? [] : [`job ${job.id} ${job.status}`]),
    ...(cluster.resources === undefined ? [] : [cluster.resources]),
  ];
  const isWell = cluster.status === "UP";
  const head: Line = [
    { text: name.padEnd(LABEL), style: "bold" },
    `${cluster.cluster}  `,
    { text: facts.join(", "), style: isWell ? undefined : "red" },
  ];
  if (cluster.status === "GONE") return [head];
  const widths = columnWidths(nodes, status.at);
  return [head, ...nodes.flatMap((node) => nodeLines(node, widths, status.at))];
}

const HEADER: Row = ["program", "state", "for", "restarts", "GPUs", "ports"];
type Row = readonly [string, string, string, string, string, string];

function columnWidths(nodes: readonly NodeStatus[], at: string): number[] {
  const rows = [HEADER, ...nodes.flatMap(({ programs }) => programs.map((program) => rowOf(program, at)))];
  return HEADER.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
}

function rowOf({ name, state, since, restarts, gpus, ports }: ProgramStatus, at: string): Row {
  const listed = Object.entries(ports).map(([purpose, port]) => `${purpose} ${port}`);
  return [
    name,
    state,
    since === null ? NONE : elapsed(since, at),
    String(restarts),
    gpusText(gpus) || NONE,
    listed.join(", "),
  ];
}

function gpusText(gpus: ProgramStatus["gpus"]): string {
  const indices = gpus.filter((gpu) => typeof gpu === "number");
  return indices.length === gpus.length ? ranges(indices) : gpus.join(", ");
}

function nodeLines({ rank, problem, programs }: NodeStatus, widths: readonly number[], at: string): Line[] {
  const cells = (row: Row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0));
  const head = `  node ${rank}`;
  if (problem !== null) return [[head, "  ", { text: problem, style: "red" }]];
  const titles: Line = [{ text: `    ${cells(HEADER).join("  ")}`, style: "dim" }];
  return [
    [head],
    ...(rank === 0 ? [titles] : []),
    ...programs.flatMap((program): Line[] => {
      const [name = "", state = "", ...rest] = cells(rowOf(program, at));
      const line: Line = [
        `    ${name}  `,
        { text: state, style: styleOf(program.state) },
        `  ${rest.join("  ")}`,
      ];
      return program.state === "running" ? [line] : [line, ...reason(program)];
    }),
  ];
}

/** Why it does not run: its last exit, and its last output. */
function reason({ lastExit, lastLine }: ProgramStatus): Line[] {
  const told = [...(lastExit === null ? [] : [lastExit.how]), ...(lastLine === null ? [] : [lastLine])];
  return told.length === 0 ? [] : [[{ text: `      ${told.join(": ")}`, style: "yellow" }]];
}

function styleOf(state: State): Style {
  if (state === "running") return "green";
  return state === "starting" ? "yellow" : "red";
}

function elapsed(since: string, at: string): string {
  return duration((Date.parse(at) - Date.parse(since)) / 1000);
}

/** `0-3, 6`. */
function ranges(numbers: readonly number[]): string {
  const groups: [number, number][] = [];
  for (const number of numbers.toSorted((a, b) => a - b)) {
    const last = groups.at(-1);
    if (last !== undefined && last[1] === number - 1) last[1] = number;
    else groups.push([number, number]);
  }
  return groups.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`)).join(", ");
}

/** Truncated to the width, then coloured, without trailing spaces. */
function rendered(line: Line, { width, colour }: DrawOptions): string {
  const pieces = line.map((piece): Piece => (typeof piece === "string" ? { text: piece } : piece));
  const whole = pieces.map(({ text }) => text).join("");
  const isCut = whole.trimEnd().length > width;
  let end = isCut ? width - 1 : whole.trimEnd().length;
  const shown = pieces.map(({ text, style }) => {
    const part = text.slice(0, Math.max(0, end));
    end -= text.length;
    return colour && style !== undefined && part !== "" ? `\u001b[${CODES[style]}m${part}\u001b[0m` : part;
  });
  return `${shown.join("")}${isCut ? "…" : ""}`;
}
