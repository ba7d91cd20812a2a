/** Layouts that are measured on one or two GPUs, and the loads and changes that each gets. */
import { type EngineName, isSimulated } from "../../engines";

/** A layout; one node of two GPUs unless it says something else. */
export interface Layout extends Settings {
  readonly id: string;
  readonly name: string;
  /** The engine whose flags it has. Default: any. */
  readonly engine?: EngineName;
  readonly nodes?: number;
  readonly gpusPerNode?: number;
  readonly workersPerGpu?: number;
  readonly engineArgs?: readonly string[];
  readonly steps: readonly Step[];
  /** What it is changed to while it serves, by name. */
  readonly variants?: Readonly<Record<string, Partial<Settings>>>;
}

interface Settings {
  readonly pools: readonly Readonly<Record<string, unknown>>[];
  readonly router: { readonly mode: "kv" | "round-robin"; readonly blockSize?: number };
}

/** A step of `measure.py`. Times are in seconds, lengths in tokens. */
export interface Step {
  readonly name: string;
  readonly kind?: "warm" | "steady" | "ways" | "pinned" | "change" | "roll" | "kill" | "cut";
  /** Time that the step takes at most; it is left out if less is left. */
  readonly longest?: number;
  /** The step that changes what is measured here: if it is left out, so is this one. */
  readonly after?: string;
  readonly clients?: number | readonly number[];
  readonly prompt?: number;
  readonly answer?: number;
  readonly prefixes?: number;
  readonly prefixTokens?: number;
  readonly warmSeconds?: number;
  /** Of the load; one that is sent while something changes ends some seconds after the change. */
  readonly seconds?: number;
  readonly node?: number;
  readonly program?: string;
  /** Of the load, measured before anything changes. */
  readonly before?: number;
  /** How long a network is cut. */
  readonly away?: number;
  /** `ways`: through the gateway, or around it. */
  readonly order?: readonly ("gateway" | "direct")[];
  /** The variant of the layout that is put on the nodes, and which roles of it. */
  readonly to?: string;
  readonly roles?: readonly string[];
  /** All replicas at the same time. Default: one after the other, as an update does. */
  readonly atOnce?: boolean;
}

const KV = { mode: "kv", blockSize: 16 } as const;
const ROUND_ROBIN = { mode: "round-robin", blockSize: 16 } as const;
const TWO = [{ role: "aggregated", replicas: 2 }];
/** Two workers share a GPU. */
const HALVES = { gpusPerNode: 1, workersPerGpu: 2, router: KV };
const TP2 = { role: "aggregated", tensorParallel: 2 };
/** vLLM's fused all-reduce is NVLink multicast, which hosts that lend out single GPUs may not allow. */
const NO_MULTICAST = {
  engineArgs: ["--compilation-config", '{"pass_config":{"fuse_allreduce_rms":false}}'],
  engineEnv: { VLLM_ALLREDUCE_USE_FLASHINFER: "0" },
};

const LOAD = { prompt: 4000, answer: 500, prefixes: 0, prefixTokens: 0 };
/** For nodes that exchange every layer's results over a network without RDMA. */
const SMALL = { prompt: 400, answer: 200 };
const TIMES = { warmSeconds: 7, seconds: 15 };
/** What a level takes besides. */
const AROUND_SECONDS = 5;
const CLIENTS = [8, 32, 128];
const CHANGE_SECONDS = 320;
/** Of one worker that has compiled its kernels before. */
const RESTART_SECONDS = 150;

const PROOF: Step = { name: "proof" };
const WARM: Step = {
  ...{ name: "warm-up", kind: "warm", longest: 60, ...LOAD },
  ...{ answer: 32, clients: [1, 8, 128], seconds: 3 },
};

function steady(name = "steady", clients: readonly number[] = CLIENTS, times = TIMES): Step {
  return { name, kind: "steady", longest: levels(clients.length, times), ...LOAD, clients, ...times };
}

/** Many clients of a GPU that computes prompts: their first prompts alone take that long. */
function waves(name: string, clients: 64 | 128, promptGpus: 1 | 2 = 1): Step {
  const isFew = clients / promptGpus === 64;
  return steady(name, [clients], { warmSeconds: isFew ? 14 : 25, seconds: isFew ? 20 : 25 });
}

function shared(name = "shared prefixes"): Step {
  const lengths = { prompt: 200, answer: 200, prefixes: 8, prefixTokens: 8000 };
  return { name, kind: "steady", longest: levels(1), ...lengths, clients: [32], ...TIMES };
}

/** More beginnings than the cache of a worker holds that has half of a GPU, and fewer than two have. */
function parts(name: string): Step {
  const times = { warmSeconds: 20, seconds: 25 };
  return { ...shared(name), longest: levels(1, times), prefixes: 64, ...times };
}

/** Half of the clients at each of two workers, which have other flags. */
function pinned(name: string, times = TIMES): Step {
  return { name, kind: "pinned", longest: levels(1, times), ...LOAD, clients: 128, ...times };
}

function levels(count: number, times = TIMES): number {
  return count * (times.warmSeconds + times.seconds + AROUND_SECONDS);
}

/** A load of 32 clients, in the middle of which something happens. */
function under(name: string, kind: "roll" | "kill" | "cut", seconds: number): Step {
  const longest = seconds + 2 * AROUND_SECONDS;
  return { name, kind, longest, ...LOAD, clients: 32, warmSeconds: 6, before: 8, seconds };
}

/** Other flags of the only worker, and a load of half as many clients as two would get. */
function tried(name: string): Step[] {
  const after = `to ${name}`;
  return [
    { ...workers(after, name), longest: RESTART_SECONDS },
    { ...WARM, name: `warm-up of ${name}`, clients: [64], after },
    { ...waves(name, 64), after },
  ];
}

function frontends(name: string, to: string): Step {
  return { name, kind: "change", longest: 60, to, roles: ["frontend"] };
}

function workers(name: string, to: string): Step {
  return { name, kind: "change", longest: CHANGE_SECONDS, to, roles: ["aggregated"], atOnce: true };
}

/** Replicas, each with flags that the plan does not set. */
function flags(...each: readonly (readonly string[])[]): Pick<Settings, "pools"> {
  return { pools: each.map((engineArgs) => ({ role: "aggregated", engineArgs })) };
}

function halves({ pools }: Pick<Settings, "pools">): Pick<Settings, "pools"> {
  return { pools: pools.map((pool) => ({ ...pool, gpuMemoryFraction: 0.45 })) };
}

const OF_TP2 = {
  ...{ name: "TP 2", router: KV },
  steps: [PROOF, WARM, steady("steady", [8, 32]), waves("128 clients", 128, 2), shared()],
};

/** A replica over two nodes, of which the second one's network is cut. */
function across(id: string, engine: EngineName, more: Layout["pools"][number]): Layout {
  return {
    ...{ id, name: "TP 2 over two nodes", engine, router: KV },
    // The rest of the memory is for the other node, where both have the machine's only GPU.
    ...{ nodes: 2, gpusPerNode: 1, pools: [{ ...TP2, ...more, gpuMemoryFraction: 0.4 }] },
    steps: [
      ...[PROOF, { ...WARM, ...SMALL }, { ...steady("steady", [16]), ...SMALL }],
      { ...under("cut", "cut", 280), ...SMALL, clients: 16, node: 1, away: 45 },
    ],
  };
}

/** Layouts that an engine can be measured with; the simulated one rehearses all. */
export function layoutsFor(engine: string): Layout[] {
  return LAYOUTS.filter((layout) => isSimulated(engine) || (layout.engine ?? engine) === engine);
}

const LAYOUTS: readonly Layout[] = [
  {
    ...{ id: "one", name: "TP 1 on one GPU", engine: "vllm" },
    ...{ gpusPerNode: 1, pools: [{ role: "aggregated" }], router: KV },
    variants: {
      "plan's flags": { pools: [{ role: "aggregated" }] },
      "larger batches": flags(["--max-num-batched-tokens", "16384"]),
      "smaller batches": flags(["--max-num-batched-tokens", "4096"]),
      "more memory": flags(["--gpu-memory-utilization", "0.96", "--max-num-seqs", "512"]),
      "synchronous scheduling": flags(["--no-async-scheduling"]),
    },
    steps: [
      ...[PROOF, WARM, waves("128 clients", 128), waves("64 clients", 64), steady("steady", [32, 8, 16])],
      ...[shared(), waves("plan's, again", 64)],
      { ...under("killed", "kill", 120), node: 0, program: "aggregated-0" },
      ...["larger batches", "smaller batches", "plan's flags"].flatMap(tried),
      ...["more memory", "synchronous scheduling"].flatMap(tried),
    ],
  },
  {
    id: "kv",
    name: "2 × TP 1",
    engine: "sglang",
    pools: TWO,
    router: KV,
    variants: {
      "round robin": { router: ROUND_ROBIN },
      "KV-aware": { router: KV },
      "first flags": flags(["--chunked-prefill-size", "16384"], ["--enable-mixed-chunk"]),
      "more flags": flags(
        ["--stream-interval", "8"],
        [
          ...["--num-continuous-decode-steps", "4"],
          ...["--schedule-conservativeness", "0.3", "--mem-fraction-static", "0.92"],
        ],
      ),
    },
    steps: [
      ...[PROOF, WARM, steady()],
      {
        ...{ name: "ways", kind: "ways", longest: levels(3), ...LOAD, clients: 128, ...TIMES },
        order: ["direct", "gateway", "direct"],
      },
      shared(),
      frontends("router mode", "round robin"),
      steady("steady, round robin"),
      shared("shared prefixes, round robin"),
      frontends("router mode back", "KV-aware"),
      pinned("plan's flags"),
      {
        ...under("rolled", "roll", CHANGE_SECONDS),
        ...{ to: "first flags", roles: ["aggregated"] },
      },
      pinned("first flags"),
      workers("to more flags", "more flags"),
      { ...WARM, name: "warm-up of more flags" },
      pinned("more flags"),
    ],
  },
  {
    ...{ id: "two", name: "2 × TP 1", engine: "vllm", pools: TWO, router: KV },
    variants: {
      "round robin": { router: ROUND_ROBIN },
      "KV-aware": { router: KV },
      // Neither makes vLLM compile the model anew.
      "other flags": flags(["--no-async-scheduling"], ["--gpu-memory-utilization", "0.96"]),
    },
    steps: [
      ...[PROOF, WARM, steady("steady", [8, 32]), waves("128 clients", 128, 2), shared()],
      frontends("router mode", "round robin"),
      ...[steady("steady, round robin", [32]), waves("128 clients, round robin", 128, 2)],
      shared("shared prefixes, round robin"),
      frontends("router mode back", "KV-aware"),
      { ...under("rolled", "roll", CHANGE_SECONDS), to: "other flags", roles: ["aggregated"] },
      pinned("other flags", { warmSeconds: 14, seconds: 20 }),
      { ...under("killed", "kill", 95), node: 0, program: "aggregated-0" },
    ],
  },
  {
    ...{ id: "halves", name: "2 × TP 1 on one GPU", engine: "vllm", ...HALVES },
    ...halves({ pools: TWO }),
    variants: {
      "round robin": { router: ROUND_ROBIN },
      "KV-aware": { router: KV },
      "other flags": halves(flags(["--no-async-scheduling"], ["--stream-interval", "4"])),
    },
    steps: [
      ...[PROOF, WARM, steady("steady", [32]), parts("caches hold a part")],
      ...[frontends("router mode", "round robin"), parts("caches hold a part, round robin")],
      frontends("router mode back", "KV-aware"),
      { ...under("rolled", "roll", CHANGE_SECONDS), to: "other flags", roles: ["aggregated"] },
      { ...under("killed", "kill", 95), node: 0, program: "aggregated-0" },
    ],
  },
  {
    ...{ id: "pd-one", name: "1 prefill, 1 decode on one GPU", ...HALVES },
    ...halves({ pools: [{ role: "prefill" }, { role: "decode" }] }),
    steps: [PROOF, WARM, steady("steady", [8, 32])],
  },
  {
    ...{ id: "kill", name: "2 × TP 1, KV-aware", pools: TWO, router: KV },
    steps: [PROOF, WARM, { ...under("killed", "kill", 150), node: 0, program: "aggregated-0" }],
  },
  {
    ...{ id: "pd", name: "1 prefill, 1 decode", router: KV },
    pools: [{ role: "prefill" }, { role: "decode" }],
    steps: [PROOF, WARM, steady("steady", [8, 32]), waves("128 clients", 128), shared()],
  },
  { id: "tp2", engine: "sglang", pools: [TP2], ...OF_TP2 },
  { id: "tp2-vllm", engine: "vllm", pools: [{ ...TP2, ...NO_MULTICAST }], ...OF_TP2 },
  {
    ...{ id: "nodes", name: "2 nodes × TP 1, KV-aware", nodes: 2, gpusPerNode: 1 },
    ...{ pools: TWO, router: KV },
    steps: [PROOF, WARM, steady(), shared()],
  },
  // How long it takes to serve again is measured here, not how fast it is then.
  across("across", "sglang", { engineArgs: ["--cuda-graph-max-bs-prefill", "512"] }),
  across("across-vllm", "vllm", NO_MULTICAST),
];

/** A step that takes seconds instead of minutes, to rehearse. */
export function quicker(step: Step): Step {
  const { prompt, answer, prefixTokens, seconds, clients } = step;
  if (clients === undefined) return step;
  const isLong = step.kind === "roll" || step.kind === "cut" || step.kind === "kill";
  return {
    ...step,
    clients: typeof clients === "number" ? 4 : clients.slice(0, 2).map((_, index) => 2 + 2 * index),
    ...(prompt && { prompt: prompt / 10 }),
    ...(answer && { answer: Math.ceil(answer / 10) }),
    ...(prefixTokens && { prefixTokens: prefixTokens / 10 }),
    ...(step.warmSeconds && { warmSeconds: 2 }),
    ...(step.before && { before: 5 }),
    ...(step.away && { away: 20 }),
    ...(seconds && { seconds: isLong ? Math.min(seconds, 120) : 4 }),
  };
}
