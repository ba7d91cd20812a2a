/**
 * What caches of shared prefixes give to layouts: Dynamo's replay simulates how much of the prompts is found
 * in them, and AIConfigurator is asked again with that.
 */
import { VERSIONS } from "../../config/versions";
import { SIMULATED } from "../../engines";
import { counted } from "../../lib/words";
import { ACCELERATORS } from "./accelerators";
import type { Estimate, Estimated, EstimateQuestion } from "./aiconfigurator";
import { layoutText, partsOf } from "./draw";
import { type Cached, type Priced, priced, type WithCache } from "./layouts";
import { askedAs } from "./models";
import type { SizeOptions } from "./options";
import { inOrder, rankKeys } from "./order";
import { type PrefixLoad, prefixText } from "./prefixes";
import type { Replayed, ReplayQuestion, Shares } from "./replay";

/** Who is asked; tests have recorded answers. */
export interface CacheSources {
  readonly replay: (question: ReplayQuestion) => Promise<Replayed>;
  readonly estimates: (questions: readonly EstimateQuestion[]) => Promise<readonly Estimated[]>;
  readonly say: (line: string) => void;
}

/** Answers about shared prefixes, recorded by `npx tsx dev/recordSizes.ts`. */
export interface CacheRecord {
  /** Options that were asked with. */
  readonly sharedPrefix: string;
  readonly prefixes: string;
  readonly replayQuestion: ReplayQuestion;
  readonly replayed: Replayed;
  readonly estimateQuestions: readonly EstimateQuestion[];
  readonly estimated: readonly Estimated[];
}

/** Of a load that is made: enough that the first half fills the caches. */
const REQUESTS = { least: 1000, most: 10_000, perClient: 5, perPrefix: 20 } as const;

/**
 * Layouts with their caches, the cheapest tokens with the KV-aware router first. Each takes seconds, so that
 * only those that are shown should be asked for.
 */
export async function withCaches(
  layouts: readonly Priced[],
  { load, options }: { readonly load: PrefixLoad; readonly options: SizeOptions },
  sources: CacheSources,
): Promise<{ readonly layouts: readonly Priced[]; readonly notes: readonly string[] }> {
  if (layouts.length === 0) return { layouts, notes: [] };
  sources.say(
    `Replaying a load on ${counted(layouts.length, "layout")} with Dynamo ${VERSIONS.dynamo}: ${prefixText(options)} …`,
  );
  const replayed = await sources.replay(replayQuestion(layouts, load));
  const found = layouts.map((layout, index) => ({ layout, shares: replayed.layouts[index] ?? UNANSWERED }));
  sources.say("Asking AIConfigurator again, with what is in a cache …");
  const asked = found.flatMap(({ layout, shares }) =>
    "problem" in shares ? [] : [{ layout, question: estimateQuestion(layout, shares, options) }],
  );
  const answers = await sources.estimates(asked.map(({ question }) => question));
  const estimated = new Map(asked.map(({ layout }, index) => [layout, answers[index] ?? {}]));
  const all = found.map(({ layout, shares }) => {
    if ("problem" in shares) return layout;
    const cached = cachedOf({ layout, shares, estimated: estimated.get(layout) ?? {} }, options);
    return { ...layout, cached: { by: `Dynamo ${replayed.version}'s offline replay`, ...cached } };
  });
  const problems = found.flatMap(({ layout, shares }) => problemsOf(layout, shares, estimated.get(layout)));
  return { layouts: byCache(all, options), notes: [...cacheNotes(all, options), ...new Set(problems)] };
}

const UNANSWERED = { problem: "Dynamo's replay says nothing" } as const;

export function replayQuestion(layouts: readonly Priced[], load: PrefixLoad): ReplayQuestion {
  const prefixes = "prefixes" in load ? load.prefixes : 0;
  return {
    load,
    layouts: layouts.map(({ roles, concurrency }) => ({
      // Each attention group has a cache of its own.
      roles: roles.map(({ role, replicas, dp, kvTokens = null, batch }) => ({
        ...{ role, workers: replicas * dp, kvTokens, batch },
      })),
      concurrency: Math.max(1, concurrency),
      requests: Math.min(
        REQUESTS.most,
        Math.max(REQUESTS.least, REQUESTS.perClient * concurrency, REQUESTS.perPrefix * prefixes),
      ),
    })),
  };
}

/** The layout with as many requests at a time as it has now, and a cache. */
export function estimateQuestion(
  { engine, accelerator, roles }: Priced,
  { roundRobin, kv }: Shares,
  { model, isl, osl }: SizeOptions,
): EstimateQuestion {
  const batch = roles.at(-1)?.batch ?? 1;
  const loads = [roundRobin, kv].map((share) => ({
    ...{ isl, osl, batch },
    prefix: Math.min(isl - 1, Math.round(share * isl)),
  }));
  const asked = roles.map(({ role, replicas, tp, pp, dp, moeEp, batch: own }) => ({
    ...{ role, replicas, tp, pp, dp, moeEp },
    ...(role === "prefill" ? { batch: Math.max(1, own) } : {}),
  }));
  return {
    model: askedAs(model),
    backend: engine,
    system: ACCELERATORS[accelerator] ?? accelerator,
    roles: asked,
    loads,
  };
}

interface Found {
  readonly layout: Priced;
  readonly shares: Shares;
  readonly estimated: Estimated;
}

function cachedOf({ layout, shares, estimated }: Found, options: SizeOptions): Omit<Cached, "by"> {
  const [roundRobin, kv] = estimated.estimates ?? [];
  return {
    requests: shares.requests,
    caches: layout.roles.map(({ role, kvTokens }, index) => ({
      role,
      tokens: shares.kvTokens[index] ?? 0,
      from: kvTokens === undefined ? "Dynamo's default" : `AIConfigurator ${VERSIONS.aiconfigurator}`,
    })),
    roundRobin: withCache(layout, shares.roundRobin, roundRobin, options),
    kv: withCache(layout, shares.kv, kv, options),
  };
}

const UNKNOWN = {
  ...{ ttft: null, tpot: null, tokensPerSecondPerGpu: null, requestsPerSecond: null },
  dollarsPerMillionTokens: null,
} as const;

function withCache(
  layout: Priced,
  share: number,
  estimate: Estimate | { readonly problem: string } | undefined,
  options: SizeOptions,
): WithCache {
  if (estimate === undefined || "problem" in estimate) return { share, ...UNKNOWN };
  const { ttft, tpot, tokensPerSecond, requestsPerSecond } = estimate;
  const given = { ttft, tpot, requestsPerSecond, tokensPerSecondPerGpu: tokensPerSecond / layout.gpus };
  const dollars = { onDemand: layout.dollarsPerHour, spot: layout.spotDollarsPerHour };
  const { dollarsPerMillionTokens } = priced({ ...layout, ...given }, dollars, options);
  return { share, ...given, dollarsPerMillionTokens };
}

/**
 * As `ranked`, with the KV-aware router. Then those of which AIConfigurator says nothing, and at last those
 * that were not simulated.
 */
function byCache(layouts: readonly Priced[], options: SizeOptions): Priced[] {
  return inOrder(layouts, (layout) => {
    const { cached } = layout;
    return [
      cached === undefined ? 2 : cached.kv.tokensPerSecondPerGpu === null ? 1 : 0,
      ...rankKeys(layout, cached?.kv ?? UNKNOWN, options),
    ];
  });
}

function problemsOf(
  layout: Priced,
  shares: Shares | { readonly problem: string },
  { problem, estimates = [] }: Estimated = {},
): string[] {
  const where = `${layout.engine} on ${layout.accelerator}, ${layoutText(layout)}, not simulated`;
  if ("problem" in shares) return [`${where}: ${shares.problem}`];
  const said = estimates.flatMap((one) => ("problem" in one ? [one.problem] : []));
  return [...(problem === undefined ? [] : [problem]), ...said].map(
    (why) => `${where} to the end: AIConfigurator says with a cache: ${why}`,
  );
}

/** What the columns are, and the cache of each kind of worker. */
function cacheNotes(layouts: readonly Priced[], options: SizeOptions): string[] {
  const cached = layouts.flatMap((layout) => (layout.cached === undefined ? [] : [layout.cached]));
  const [first] = cached;
  if (first === undefined) return [];
  const counts = cached.map(({ requests }) => requests);
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  const requests = least === most ? `${least}` : `${least} to ${most}`;
  const last = options.shared === undefined ? requests : `the last ${requests}`;
  return [
    `sim.: a simulation by ${first.by}, with the times of its ${SIMULATED}, not of a GPU: ${prefixText(options)}; counted are ${last} requests on a layout.`,
    "sim. hits: the prompts' tokens that a worker has in its cache, with round robin (RR) and with the KV-aware router (KV); the other sim. columns: AIConfigurator, asked again with that part of the prompts cached.",
    ...kvNotes(layouts),
  ];
}

function kvNotes(layouts: readonly Priced[]): string[] {
  const parts = layouts.flatMap(({ engine, accelerator, roles, cached }) =>
    (cached?.caches ?? []).flatMap(({ tokens, from }, index) => {
      const role = roles[index];
      const size = `${role === undefined ? "" : partsOf(role)} ${tokens.toLocaleString("en-US")}`;
      return [{ where: `sim. cache, tokens (${from}), ${engine} on ${accelerator}`, size }];
    }),
  );
  const places = [...new Set(parts.map(({ where }) => where))];
  return places.map((place) => {
    const sizes = new Set(parts.filter(({ where }) => where === place).map(({ size }) => size));
    return `${place}: ${[...sizes].join(", ")}`;
  });
}
