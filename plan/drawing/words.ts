/** Labels shared by the text and picture drawings of a plan. */
import { counted } from "../../lib/words";
import type { ClusterPlan, DeploymentPlan, NodePlan, ProgramPlan, WorkerRole } from "../types";

/** Short names of programs on a node: `P0`, `D12`, `A3`. */
export const LETTERS: Readonly<Record<WorkerRole, string>> = {
  aggregated: "A",
  prefill: "P",
  decode: "D",
  encode: "E",
};
export const WORDS: Readonly<Record<WorkerRole, string>> = {
  aggregated: "aggregated (whole requests)",
  prefill: "prefill (reads prompts)",
  decode: "decode (writes answers)",
  encode: "encode (looks at pictures)",
};

const MOST_DRAWN = 32;
/** How many are drawn if there are more. */
const FEW = 4;

export function isWorkerRole(role: string): role is WorkerRole {
  return role in LETTERS;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

/** All of them, or the first few of very many and the number left out. */
export function few<T>(things: readonly T[]): { readonly shown: readonly T[]; readonly hidden: number } {
  const shown = things.length > MOST_DRAWN ? things.slice(0, FEW) : things;
  return { shown, hidden: things.length - shown.length };
}

/** `P0`; `A0.1` for rank 1 of a replica with several ranks. */
export function seatName({ role, replica, rank }: ProgramPlan): string {
  const letter = isWorkerRole(role) ? LETTERS[role] : role;
  return rank === 0 ? `${letter}${replica}` : `${letter}${replica}.${rank}`;
}

/** `cluster decode-1: 2 nodes × H100:8, spot`. */
export function clusterTitle({ name, nodes, accelerator = "GPU", spot }: ClusterPlan): string {
  const gpus = nodes[0]?.gpus ?? 0;
  const market = spot === undefined ? "" : spot.fallback ? ", spot or on demand" : ", spot";
  return `cluster ${name}: ${counted(nodes.length, "node")} × ${gpus === 0 ? "no GPU" : `${accelerator}:${gpus}`}${market}`;
}

export function nodeTitle({ rank }: NodePlan): string {
  return `node ${rank}${rank === 0 ? " (head)" : ""}`;
}

/** Model, engine and router; then the number of everything. */
export function headline(plan: DeploymentPlan): { readonly what: string; readonly size: string } {
  const nodes = plan.clusters.flatMap((cluster) => cluster.nodes);
  const gpus = sum(nodes.map((node) => node.gpus));
  const idle = sum(nodes.map((node) => node.idleGpus.length));
  const expected = Object.entries(plan.expectedWorkers).flatMap(([role, count]) =>
    count === 0 ? [] : [`${count} ${role}`],
  );
  return {
    what: `${plan.model} on ${plan.engine}, router ${plan.routerMode}`,
    size: `${counted(plan.clusters.length, "cluster")}, ${counted(nodes.length, "node")}, ${counted(gpus, "GPU")} (${idle} idle), workers: ${expected.join(" + ")}`,
  };
}

/** `http 8000, kvEvents 5557–5560`: consecutive numbered ports of one purpose are merged. */
export function portsText(ports: Readonly<Record<string, number>>): string {
  const runs: { purpose: string; first: number; last: number }[] = [];
  for (const [name, port] of Object.entries(ports)) {
    const purpose = name.replace(/\d+$/, "");
    const run = runs.at(-1);
    if (run !== undefined && run.purpose === purpose && port === run.last + 1) run.last = port;
    else runs.push({ purpose, first: port, last: port });
  }
  return runs.map(({ purpose, first, last }) => `${purpose} ${span(first, last)}`).join(", ");
}

/** `7`, `0–3`. */
export function span(first: number, last: number): string {
  return first === last ? String(first) : `${first}–${last}`;
}
