/** Sends requests with shared prefixes, to see which workers the router chooses. */
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { callHttp } from "../../lib/http";
import { readyPath } from "../../lib/modelPath";
import { ask, freshPrefix, type ProofTarget, type Served, toldByLogs } from "../proof";
import type { PrefixGroup } from "./judge";

export interface SendOptions {
  /** Number of distinct prefixes. */
  readonly prefixes: number;
  /** Number of further requests per prefix. */
  readonly followUps: number;
}

/** KV events reach the router within milliseconds; a busy machine may take longer. */
const EVENTS_MS = 10_000;
const RETRY_MS = 250;
const READY_MS = 10_000;

/**
 * Sends a first request with each prefix, waits until the router knows them, then sends the others, each
 * round in another order: a round-robin router must not hit the right worker by accident.
 *
 * @throws Error if a request fails.
 */
export async function sendPrefixes(target: ProofTarget, options: SendOptions): Promise<PrefixGroup[]> {
  const groups = Array.from({ length: options.prefixes }, () => ({
    prefix: freshPrefix(),
    requests: [] as Served[],
  }));
  for (const group of groups) group.requests.push(await ask(target, `${group.prefix}What is a prefix?`));
  await untilKnown(target, groups);
  for (let round = 1; round <= options.followUps; round++) {
    for (const group of shuffled(groups))
      group.requests.push(await ask(target, `${group.prefix}Question ${round}: what is a cache?`));
  }
  return withPrograms(groups);
}

/**
 * Waits until a request with the last prefix hits a cache, with a time limit; not at all if the router counts
 * no hits.
 */
async function untilKnown(
  target: ProofTarget,
  groups: readonly { readonly prefix: string; readonly requests: readonly Served[] }[],
): Promise<void> {
  const last = groups.at(-1);
  if (last === undefined || !last.requests.some(({ countsCache }) => countsCache)) return;
  const deadline = Date.now() + EVENTS_MS;
  while (Date.now() < deadline) {
    const probe = await ask(target, `${last.prefix}Is it known?`);
    if (probe.hitRate > 0) return;
    await delay(RETRY_MS, undefined, target.signal && { signal: target.signal });
  }
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, key: Math.random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}

/** Adds data from logs that could not be read while the requests were sent. */
export function withLogs(groups: readonly PrefixGroup[], logs: ProofTarget["logs"]): PrefixGroup[] {
  const told = groups.map(({ requests }) => ({
    requests: requests.map((request) => ({ ...request, ...toldByLogs(logs, request) })),
  }));
  return withPrograms(told);
}

/**
 * A worker's log may lag behind its response; data about a worker from one request holds for the others too.
 */
function withPrograms(groups: readonly PrefixGroup[]): PrefixGroup[] {
  const programs = new Map<string, string>();
  for (const { requests } of groups)
    for (const { prefillWorker, prefillProgram, decodeWorker, decodeProgram } of requests) {
      if (prefillProgram !== undefined) programs.set(prefillWorker, prefillProgram);
      if (decodeProgram !== undefined) programs.set(decodeWorker, decodeProgram);
    }
  return groups.map(({ requests }) => ({
    requests: requests.map((request) => ({
      ...request,
      prefillProgram: programs.get(request.prefillWorker),
      decodeProgram: programs.get(request.decodeWorker),
    })),
  }));
}

const readySchema = z.object({
  namespaces: z.record(
    z.string(),
    z.object({ worker_types: z.record(z.string(), z.object({ workers: z.number() })) }),
  ),
});

/** Number of workers that process prompts, as registered with the frontend; undefined if it does not say. */
export async function promptWorkers({
  endpoint,
  model,
  apiKey,
  fingerprint,
  signal = new AbortController().signal,
}: ProofTarget): Promise<number | undefined> {
  const { status, text } = await callHttp(`${endpoint}/v1/${readyPath(model)}`, {
    headers: apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` },
    fingerprint,
    timeoutMs: READY_MS,
    signal,
  });
  if (status !== 200) return undefined;
  const answer = readySchema.safeParse(JSON.parse(text));
  if (!answer.success) return undefined;
  const count = (role: string) =>
    Object.values(answer.data.namespaces).reduce(
      (sum, one) => sum + (one.worker_types[role]?.workers ?? 0),
      0,
    );
  return count("prefill") || count("aggregated") || undefined;
}
