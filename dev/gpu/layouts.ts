/** Layouts that are measured on two GPUs, and the loads that each gets. */

/** A layout; one node of two GPUs unless it says something else. */
export interface Layout {
  readonly id: string;
  readonly name: string;
  readonly nodes?: number;
  readonly gpusPerNode?: number;
  readonly pools: readonly Readonly<Record<string, unknown>>[];
  readonly router: { readonly mode: "kv" | "round-robin"; readonly blockSize?: number };
  readonly engineArgs?: readonly string[];
  /** A worker that is killed under load. */
  readonly kill?: { readonly node: number; readonly program: string };
  /** Fewer numbers of clients: for comparisons of flags. */
  readonly clients?: readonly number[];
}

/** A step of `measure.py`. Times are in seconds, lengths in tokens. */
export interface Step {
  readonly name: string;
  readonly kind?: "warm" | "steady" | "kill";
  /** Time that the step takes at most; it is left out if less is left. */
  readonly longest?: number;
  readonly clients?: number | readonly number[];
  readonly prompt?: number;
  readonly answer?: number;
  readonly prefixes?: number;
  readonly prefixTokens?: number;
  readonly warmSeconds?: number;
  readonly seconds?: number;
  readonly node?: number;
  readonly program?: string;
  /** Of the load, measured before the worker is killed. */
  readonly before?: number;
}

const KV = { mode: "kv", blockSize: 16 } as const;
const TWO = [{ role: "aggregated", replicas: 2 }];

export const LAYOUTS: readonly Layout[] = [
  {
    id: "kv",
    name: "2 × TP 1, KV-aware",
    pools: TWO,
    router: KV,
    kill: { node: 0, program: "aggregated-0" },
  },
  { id: "pd", name: "1 prefill, 1 decode", pools: [{ role: "prefill" }, { role: "decode" }], router: KV },
  { id: "tp2", name: "TP 2", pools: [{ role: "aggregated", tensorParallel: 2 }], router: KV },
  { id: "rr", name: "2 × TP 1, round robin", pools: TWO, router: { mode: "round-robin", blockSize: 16 } },
  tuned("mixed", ["--enable-mixed-chunk"]),
  tuned("interval", ["--stream-interval", "4"]),
  tuned("chunk", ["--chunked-prefill-size", "16384"]),
  { id: "nodes", name: "2 nodes × TP 1, KV-aware", nodes: 2, gpusPerNode: 1, pools: TWO, router: KV },
];

/** 2 × TP 1 with flags that the plan does not set. */
function tuned(id: string, engineArgs: readonly string[]): Layout {
  const name = `2 × TP 1, KV-aware, ${engineArgs.join(" ")}`;
  return { id, name, pools: TWO, router: KV, engineArgs, clients: [32, 128] };
}

const UNSHARED = { prefixes: 0, prefixTokens: 0 };
const LOAD = { prompt: 4000, answer: 500, ...UNSHARED };

/** What is measured of a layout. */
export function stepsOf(layout: Layout, quick: boolean): Step[] {
  const times = quick ? { warmSeconds: 2, seconds: 4 } : { warmSeconds: 7, seconds: 15 };
  const clients = quick ? [2, 4] : (layout.clients ?? [8, 16, 32, 64, 128]);
  const small = quick ? { prompt: 400, answer: 50 } : {};
  // With what a level needs to start and to end.
  const longest = clients.length * (times.warmSeconds + times.seconds + 5);
  const shared = { prompt: 200, answer: 200, prefixes: 8, prefixTokens: quick ? 800 : 8000 };
  return [
    { name: "proof" },
    {
      ...{ name: "warm-up", kind: "warm", longest: 60, ...LOAD, ...small },
      ...{ answer: 32, clients: quick ? [2] : [1, 8, 128, 128], seconds: 3 },
    },
    { name: "steady", kind: "steady", longest, ...LOAD, ...small, clients, ...times },
    ...(layout.clients === undefined
      ? [
          {
            name: "shared prefixes",
            kind: "steady" as const,
            longest: 40,
            ...shared,
            clients: [32],
            ...times,
          },
        ]
      : []),
    ...(layout.kill === undefined ? [] : [killed(layout.kill, quick, small)]),
  ];
}

function killed(kill: NonNullable<Layout["kill"]>, quick: boolean, small: Partial<Step>): Step {
  const times = quick
    ? { warmSeconds: 2, before: 5, seconds: 40 }
    : { warmSeconds: 6, before: 8, seconds: 150 };
  const longest = times.warmSeconds + times.seconds + 10;
  return {
    name: "killed",
    kind: "kill",
    longest,
    ...LOAD,
    ...small,
    clients: quick ? 4 : 32,
    ...times,
    ...kill,
  };
}
