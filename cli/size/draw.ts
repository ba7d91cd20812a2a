/** The table of `dynamo-sky size`, and the same as JSON. Pure. */
import type { PredictedRole } from "./aiconfigurator";
import type { Priced } from "./layouts";

const NONE = "–";

type Shape = Pick<PredictedRole, "role" | "replicas" | "tp" | "dp" | "pp" | "moeEp">;

/** `8 × TP2`, `2 × DP8 EP8`: replicas and what a replica is cut into. */
export const shapeOf = (shape: Shape): string => `${shape.replicas} × ${partsOf(shape)}`;

/** How a replica is cut into parts: `TP2`, `DP8 EP8`. */
export function partsOf({ tp, dp, pp, moeEp }: Omit<Shape, "role" | "replicas">): string {
  const sizes = [
    ["TP", tp],
    ["DP", dp],
    ["PP", pp],
    ["EP", moeEp],
  ] as const;
  const said = sizes.filter(([name, size]) => size > 1 || (name === "TP" && dp === 1 && pp === 1));
  return said.map(([name, size]) => `${name}${size}`).join(" ");
}

/** `8 × TP2`, or `prefill 3 × TP1, decode 5 × TP1`. */
export function layoutText({ roles }: { readonly roles: readonly Shape[] }): string {
  if (roles.length === 1) return roles.map(shapeOf).join("");
  return roles.map((role) => `${role.role} ${shapeOf(role)}`).join(", ");
}

type Column = readonly [heading: string, cell: (layout: Priced, index: number) => string, right: boolean];

/** Where a spot price is known. */
const SPOT: readonly Column[] = [
  ["spot $/h", ({ spotDollarsPerHour }) => money(spotDollarsPerHour), true],
  ["spot $/M", ({ spotDollarsPerMillionTokens }) => money(spotDollarsPerMillionTokens), true],
];

const COLUMNS: readonly Column[] = [
  ["#", (_, index) => String(index + 1), true],
  ["engine", ({ engine }) => engine, false],
  ["accelerator", ({ accelerator }) => accelerator, false],
  ["layout", layoutText, false],
  ["GPUs", ({ gpus }) => String(gpus), true],
  ["nodes", ({ nodes }) => String(nodes), true],
  ["tokens/s/GPU", ({ tokensPerSecondPerGpu }) => thousands(tokensPerSecondPerGpu), true],
  ["TTFT", ({ ttft }) => `${Math.round(ttft)} ms`, true],
  ["per token", ({ tpot }) => `${tpot.toFixed(1)} ms`, true],
  ["requests/s", ({ requestsPerSecond }) => requestsPerSecond.toFixed(1), true],
  ["at a time", ({ concurrency }) => String(concurrency), true],
  ["$/h", ({ dollarsPerHour }) => money(dollarsPerHour), true],
  ["$/M tokens", ({ dollarsPerMillionTokens }) => money(dollarsPerMillionTokens), true],
];

/** Where shared prefixes were simulated: `cacheNotes` of cached.ts says what they are. */
const CACHED: readonly Column[] = [
  ["sim. hits RR", ({ cached }) => percent(cached?.roundRobin.share), true],
  ["sim. hits KV", ({ cached }) => percent(cached?.kv.share), true],
  ["sim. tokens/s/GPU RR", ({ cached }) => known(cached?.roundRobin.tokensPerSecondPerGpu), true],
  ["sim. tokens/s/GPU KV", ({ cached }) => known(cached?.kv.tokensPerSecondPerGpu), true],
  ["sim. $/M RR", ({ cached }) => money(cached?.roundRobin.dollarsPerMillionTokens ?? null), true],
  ["sim. $/M KV", ({ cached }) => money(cached?.kv.dollarsPerMillionTokens ?? null), true],
];

/** Markdown, which is readable in a terminal too. */
export function drawTable(layouts: readonly Priced[]): string {
  const isSpot = layouts.some(({ spotDollarsPerHour }) => spotDollarsPerHour !== null);
  const isCached = layouts.some(({ cached }) => cached !== undefined);
  const columns = [...COLUMNS, ...(isSpot ? SPOT : []), ...(isCached ? CACHED : [])];
  const rows = layouts.map((layout, index) => columns.map(([, cell]) => cell(layout, index)));
  const heads = columns.map(([heading]) => heading);
  const widths = heads.map((head, at) => Math.max(head.length, ...rows.map((row) => (row[at] ?? "").length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, at) => (columns[at]?.[2] ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0))).join(" | ")} |`;
  const rule = `|${widths.map((width, at) => (columns[at]?.[2] ? `${"-".repeat(width + 1)}:` : "-".repeat(width + 2))).join("|")}|`;
  return [line(heads), rule, ...rows.map(line)].join("\n");
}

/** `87.5 %` of a share. */
export const percent = (share: number | undefined) =>
  share === undefined ? NONE : `${(share * 100).toFixed(1)} %`;

const known = (value: number | null | undefined) => (value == null ? NONE : thousands(value));

function thousands(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** In cents; less than ten of them with two digits that say something: a small model's tokens cost that. */
export function money(dollars: number | null): string {
  if (dollars === null) return NONE;
  return dollars >= 0.0995 || dollars === 0 ? dollars.toFixed(2) : String(Number(dollars.toPrecision(2)));
}

/** Which versions the data is of, and which are deployed. */
export function versionLines(
  layouts: readonly Pick<Priced, "engine" | "accelerator" | "version">[],
  deployed: (engine: string) => string | undefined,
): string[] {
  const said = layouts.map(
    ({ engine, accelerator, version }) =>
      `${engine} on ${accelerator}: data of ${version}, deployed is ${deployed(engine) ?? "another"}`,
  );
  return [...new Set(said)];
}

/** The members that are printed by `--json`, with the version that a stack runs beside the measured one. */
export function asJson(
  { parsed: _parsed, plan: _plan, moe: _moe, ...layout }: Priced,
  deployed: (engine: string) => string | undefined,
): object {
  return { ...layout, deployedVersion: deployed(layout.engine) ?? null };
}
