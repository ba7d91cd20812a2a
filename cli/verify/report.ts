/** Output of `bin/dynamo-sky verify`. Pure. */
import type { Served } from "../proof";
import type { PrefixGroup, Verdict } from "./judge";

/** A table of all requests, and the verdict. */
export function asText(groups: readonly PrefixGroup[], verdict: Verdict): string {
  const header = ["prefix", "request", "prefill", "decode", "cached"];
  const rows = groups.flatMap(({ requests }, group) =>
    requests.map((served, index) => [
      String(group + 1),
      String(index + 1),
      prefillOf(served),
      served.decodeProgram ?? served.decodeWorker,
      cachedOf(served),
    ]),
  );
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd();
  return [...[header, ...rows].map(line), "", `${titleOf(verdict)} ${verdict.reason}`, ""].join("\n");
}

function titleOf({ cacheAware, workers }: Verdict): string {
  if (!cacheAware) return "Routing is not cache-aware.";
  return workers > 1 ? "Routing is cache-aware." : "The cache is used.";
}

/** Includes the attention group if a worker has several. */
function prefillOf({ prefillProgram, prefillWorker, prefillRank = 0 }: Served): string {
  return `${prefillProgram ?? prefillWorker}${prefillRank > 0 ? ` rank ${prefillRank}` : ""}`;
}

function cachedOf({ cachedBlocks, hitRate, promptTokens, countsCache }: Served): string {
  if (!countsCache) return "not counted";
  const blocks = cachedBlocks === undefined ? "" : `${cachedBlocks} blocks, `;
  return `${blocks}${(hitRate * 100).toFixed(0)} % of ${promptTokens} tokens`;
}

/** The same for programs. */
export function asJson(groups: readonly PrefixGroup[], verdict: Verdict): string {
  const requests = groups.flatMap((group, prefix) =>
    group.requests.map((served, request) => ({ prefix, request, ...served })),
  );
  return `${JSON.stringify({ ...verdict, requests }, undefined, 2)}\n`;
}
