/** The named loads of `bin/dynamo-sky bench`, as data. To add a load, add an entry. */

/** A random number of tokens: normally distributed, truncated at 1. */
export interface TokenCount {
  readonly mean: number;
  /** Standard deviation, in tokens. 0: constant. */
  readonly stddev: number;
}

/**
 * Requests of one kind, sent by a number of clients, each of which sends the next request after the last
 * response.
 */
export interface Load {
  readonly name: LoadName;
  /** What it represents, on one line. */
  readonly summary: string;
  /** Length of each request's unique text. */
  readonly prompt: TokenCount;
  /** Shared prefixes: number of distinct ones, chosen at random, and their length. Default: none. */
  readonly prefix?: { readonly count: number; readonly tokens: number };
  /** Length of the responses. Engines ignore the end-of-sequence token, so that the length is exact. */
  readonly answer: TokenCount;
  /** Numbers of clients to measure with, one after the other, ascending. */
  readonly clients: readonly number[];
  /** Measured requests per client… */
  readonly requestsPerClient: number;
  /** …but at least this many, so that the 99th percentile is meaningful. */
  readonly leastRequests: number;
  /** Repeats per number of clients, each with other prompts. The spread is calculated over these. */
  readonly repeats: number;
}

export const LOAD_NAMES = ["chat", "shared-prefix", "long-output", "sweep"] as const;
export type LoadName = (typeof LOAD_NAMES)[number];

/** The fewest on each side that can show a difference at a level of 5 % (`compare.ts`). */
const REPEATS = 4;

const CHAT = {
  prompt: { mean: 500, stddev: 150 },
  answer: { mean: 200, stddev: 50 },
} as const;

export const LOADS: Readonly<Record<LoadName, Load>> = {
  chat: {
    name: "chat",
    summary: "questions of some 500 tokens, answers of some 200",
    ...CHAT,
    clients: [1, 8, 32],
    requestsPerClient: 10,
    leastRequests: 100,
    repeats: REPEATS,
  },
  "shared-prefix": {
    name: "shared-prefix",
    summary:
      "32 long beginnings of 4,000 tokens that requests share, as documents or system prompts; short answers",
    prompt: { mean: 100, stddev: 20 },
    prefix: { count: 32, tokens: 4000 },
    answer: { mean: 50, stddev: 0 },
    clients: [1, 8, 32],
    requestsPerClient: 10,
    leastRequests: 100,
    repeats: REPEATS,
  },
  "long-output": {
    name: "long-output",
    summary: "short questions, answers of 2,000 tokens, as of a model that reasons",
    prompt: { mean: 200, stddev: 50 },
    answer: { mean: 2000, stddev: 0 },
    clients: [1, 8, 32],
    requestsPerClient: 3,
    leastRequests: 16,
    repeats: REPEATS,
  },
  sweep: {
    name: "sweep",
    summary: "chat from 1 client to 256: where latency and throughput part",
    ...CHAT,
    clients: [1, 2, 4, 8, 16, 32, 64, 128, 256],
    requestsPerClient: 8,
    leastRequests: 50,
    repeats: REPEATS,
  },
};

/** Changes of a load by the command line. */
export interface LoadChange {
  /**
   * Reduces minutes to a minute or so: fewer clients, fewer requests, at most 100 output tokens, one repeat.
   */
  readonly quick?: boolean;
  readonly clients?: readonly number[] | undefined;
  readonly repeats?: number | undefined;
  /** Measured requests per run, regardless of the number of clients. */
  readonly requests?: number | undefined;
}

const QUICK = {
  clients: 16,
  requestsPerClient: 2,
  leastRequests: 20,
  answerTokens: 100,
  repeats: 1,
} as const;

/** A load with the changes applied. */
export function adapted(load: Load, { quick = false, clients, repeats, requests }: LoadChange): Load {
  const base = quick ? shortened(load) : load;
  return {
    ...base,
    ...(clients === undefined ? {} : { clients: [...new Set(clients)].sort((a, b) => a - b) }),
    ...(repeats === undefined ? {} : { repeats }),
    ...(requests === undefined ? {} : { requestsPerClient: 0, leastRequests: requests }),
  };
}

function shortened(load: Load): Load {
  const share = Math.min(1, QUICK.answerTokens / load.answer.mean);
  return {
    ...load,
    answer: {
      mean: Math.round(load.answer.mean * share),
      stddev: Math.round(load.answer.stddev * share),
    },
    clients: load.clients.filter((count) => count <= QUICK.clients),
    requestsPerClient: QUICK.requestsPerClient,
    leastRequests: QUICK.leastRequests,
    repeats: QUICK.repeats,
  };
}

/** Measured requests of one run with that many clients. */
export function requestsOf(load: Load, clients: number): number {
  return Math.max(clients, load.leastRequests, load.requestsPerClient * clients);
}

/**
 * Warm-up requests, which are not measured: they open the connections, and fill the caches with the prefixes,
 * so that the steady state is measured.
 */
export function warmUpsOf(load: Load, clients: number): number {
  return Math.max(clients, 2 * (load.prefix?.count ?? 0));
}
