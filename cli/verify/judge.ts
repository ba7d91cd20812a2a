/** Decides from Dynamo's data about some requests whether the router is cache-aware. Pure. */
import type { Served } from "../proof";

/** The requests with the same prefix, in the order in which they were sent. */
export interface PrefixGroup {
  readonly requests: readonly Served[];
}

export interface Verdict {
  readonly cacheAware: boolean;
  /** The reason in words. */
  readonly reason: string;
  /** Requests whose prefix an earlier one had. */
  readonly followUps: number;
  /** Those of them that went to the worker of the last request with that prefix, and hit its cache. */
  readonly held: number;
  /** Probability that a router that ignores caches would have sent as many there, 0 to 1. */
  readonly chance: number;
  /** Number of workers that the router could choose from. */
  readonly workers: number;
  /** Whether some prompt and its response were processed by different workers. */
  readonly disaggregated: boolean;
}

/**
 * A prefix counts as cached if at least this share of the prompt's blocks was: the rest is the question after
 * it.
 */
const FOUND = 0.5;
/** A busy worker may be skipped, so not all follow-ups need to go to the worker with their prefix. */
const ENOUGH = 0.75;
/** Maximum probability of as many hits by chance. */
const SURE = 0.01;

/** @param workers Number of workers that process prompts. */
export function judge(groups: readonly PrefixGroup[], workers: number): Verdict {
  const all = groups.flatMap(({ requests }) => requests);
  const pairs = groups.flatMap(({ requests }) =>
    requests.slice(1).map((request, index) => ({ request, before: requests[index] })),
  );
  const sameWorker = pairs.filter(
    ({ request, before }) => before !== undefined && chosen(request) === chosen(before),
  );
  const held = sameWorker.filter(({ request }) => request.hitRate >= FOUND).length;
  const counts = {
    followUps: pairs.length,
    held,
    chance: atLeast(sameWorker.length, pairs.length, 1 / Math.max(1, workers)),
    workers,
    disaggregated: all.some(({ prefillWorker, decodeWorker }) => prefillWorker !== decodeWorker),
  };
  const problem = problemOf(counts, all);
  return { cacheAware: problem === undefined, reason: problem ?? successText(counts), ...counts };
}

/** The worker, and its attention group, that processed the prompt. */
function chosen({ prefillWorker, prefillRank }: Served): string {
  return `${prefillWorker}:${prefillRank ?? 0}`;
}

type Counts = Omit<Verdict, "cacheAware" | "reason">;

function problemOf({ followUps, held, chance, workers }: Counts, all: readonly Served[]): string | undefined {
  if (!all.some(({ countsCache }) => countsCache)) {
    return "The router does not look at caches: its answers tell no hit rate. Only `router.mode` kv does.";
  }
  if (held < followUps * ENOUGH) {
    return (
      `Only ${held} of ${followUps} requests went to the worker that holds their beginning and found it there. If none did, ` +
      "the workers' KV events do not reach the router, or its block size is not theirs."
    );
  }
  if (workers > 1 && chance > SURE) {
    return `As many would go to the right one of ${workers} workers by chance (${percent(chance)}). Send more prefixes.`;
  }
  return undefined;
}

function successText({ followUps, held, chance, workers }: Counts): string {
  const found = `${held} of ${followUps} requests went to the worker that holds their beginning, and found it there`;
  return workers > 1
    ? `${found}; by chance among ${workers} workers: ${percent(chance)}.`
    : `${found}. Only one worker computes prompts: there was nothing to choose.`;
}

/** `0.02 %`, with two significant digits. */
function percent(share: number): string {
  return `${Number((share * 100).toPrecision(2))} %`;
}

/** Probability of at least `hits` of `tries`, each an independent hit with the same probability. */
export function atLeast(hits: number, tries: number, probability: number): number {
  let sum = 0;
  for (let count = hits; count <= tries; count++) {
    sum += choose(tries, count) * probability ** count * (1 - probability) ** (tries - count);
  }
  return Math.min(1, sum);
}

function choose(from: number, count: number): number {
  let result = 1;
  for (let index = 1; index <= count; index++) result *= (from - count + index) / index;
  return result;
}
