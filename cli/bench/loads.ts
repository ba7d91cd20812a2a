/** The named loads of `bin/dynamo-sky bench`, as data. A new load is a new entry here, and nothing else. */

/** A number of tokens that varies from request to request: normally distributed, cut off at 1. */
export interface TokenCount {
  readonly mean: number;
  /** Standard deviation, in tokens. 0: all the same. */
  readonly stddev: number;
}

/** Requests of one kind, sent by a number of clients that each send the next one when the last is answered. */
export interface Load {
  readonly name: LoadName;
  /** What it stands for, in one line. */
  readonly summary: string;
  /** Length of each request's own text. No two requests have the same. */
  readonly prompt: TokenCount;
  /** Beginnings that requests share: as many different ones, taken at random, each this long. Default: none. */
  readonly prefix?: { readonly count: number; readonly tokens: number };
  /** Length of the answers. Engines are told to ignore the end of the text, so that they are really as long. */
  readonly answer: TokenCount;
  /** Numbers of clients to measure with, one after the other, ascending. */
  readonly clients: readonly number[];
  /** Measured requests for each client… */
  readonly requestsPerClient: number;
  /** …but at least so many, so that a 99th percentile is one. */
  readonly leastRequests: number;
  /** How often each number of clients is measured, each time with other prompts. The spread is among these. */
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

/** What of a load is changed by the command line. */
export interface LoadChange {
  /** Minutes become a minute or so: fewer clients, fewer requests, answers of 100 tokens at most, one repeat. */
  readonly quick?: boolean;
  readonly clients?: readonly number[] | undefined;
  readonly repeats?: number | undefined;
  /** Measured requests of each run, whatever the number of clients. */
  readonly requests?: number | undefined;
}

const QUICK = {
  clients: 16,
  requestsPerClient: 2,
  leastRequests: 20,
  answerTokens: 100,
  repeats: 1,
} as const;

/** A load as it is to be run. */
export function adapted(load: Load, { quick = false, clients, repeats, requests }: LoadChange): Load {
  const base = quick ? quickened(load) : load;
  return {
    ...base,
    ...(clients === undefined ? {} : { clients: [...new Set(clients)].sort((a, b) => a - b) }),
    ...(repeats === undefined ? {} : { repeats }),
    ...(requests === undefined ? {} : { requestsPerClient: 0, leastRequests: requests }),
  };
}

function quickened(load: Load): Load {
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

/** Measured requests of one run with so many clients. */
export function requestsOf(load: Load, clients: number): number {
  return Math.max(clients, load.leastRequests, load.requestsPerClient * clients);
}

/**
 * Requests before the measured ones, whose times do not count: they open the connections, and fill the caches with the
 * beginnings, so that what is measured is the steady state.
 */
export function warmUpsOf(load: Load, clients: number): number {
  return Math.max(clients, 2 * (load.prefix?.count ?? 0));
}
