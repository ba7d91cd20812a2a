/** Whether what Dynamo said of some requests shows a cache-aware router. Pure. */
import type { Served } from "../proof";

/** The requests that began with the same text, in the order in which they were sent. */
export interface PrefixGroup {
  readonly requests: readonly Served[];
}

export interface Verdict {
  readonly cacheAware: boolean;
  /** In words, why. */
  readonly reason: string;
  /** Requests whose beginning an earlier one had already. */
  readonly followUps: number;
  /** Those of them that went to the worker that had the last one with that beginning, and found it there. */
  readonly held: number;
  /** How likely a router that does not look at caches would have sent as many there, 0 to 1. */
  readonly chance: number;
  /** Workers that the router could choose from. */
  readonly workers: number;
  /** Some prompt and its answer were computed by different workers. */
  readonly disaggregated: boolean;
}

/** A beginning counts as found when at least this share of the prompt's blocks was: the rest is the question after it. */
const FOUND = 0.5;
/** A busy worker may be passed over, so not all follow-ups have to go where their beginning is. */
const ENOUGH = 0.75;
/** As many hits by chance must be less likely than this. */
const SURE = 0.01;

/** @param workers Workers that compute prompts. */
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
  return { cacheAware: problem === undefined, reason: problem ?? praiseOf(counts), ...counts };
}

/** Which worker, and which of its attention groups, had the prompt. */
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

function praiseOf({ followUps, held, chance, workers }: Counts): string {
  const found = `${held} of ${followUps} requests went to the worker that holds their beginning, and found it there`;
  return workers > 1
    ? `${found}; by chance among ${workers} workers: ${percent(chance)}.`
    : `${found}. There is one worker only: nothing to choose from.`;
}

/** `0.02 %`, with two digits that count. */
function percent(share: number): string {
  return `${Number((share * 100).toPrecision(2))} %`;
}

/** Probability of at least `hits` of `tries`, each a hit with the same probability by itself. */
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
