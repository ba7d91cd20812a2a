/** Which layout is before which. Pure. */
import type { PredictedRole } from "./aiconfigurator";
import { layoutText } from "./draw";
import type { Layout, Priced, WithCache } from "./layouts";
import { tokensWanted } from "./need";
import type { SizeOptions } from "./options";

/** What a layout gives; null where it is not known. */
type Given = Pick<WithCache, "ttft" | "tpot" | "tokensPerSecondPerGpu" | "requestsPerSecond">;

/** Digits of tokens and requests that decide: the others are no better known than by chance. */
const DIGITS = 3;

const rounded = (value: number): number => Number(value.toPrecision(DIGITS));

/** The best first. */
export function ranked(layouts: readonly Priced[], options: SizeOptions): Priced[] {
  return inOrder(layouts, (layout) => rankKeys(layout, layout, options));
}

/** By the keys, and where they are equal by {@link tieKeys}. */
export function inOrder(layouts: readonly Priced[], keysOf: (layout: Priced) => readonly number[]): Priced[] {
  const keys = new Map(layouts.map((layout) => [layout, [...keysOf(layout), ...tieKeys(layout)]]));
  return layouts.toSorted(
    (a, b) => byNumbers(keys.get(a) ?? [], keys.get(b) ?? []) || byText(nameOf(a), nameOf(b)),
  );
}

/**
 * What decides, the first first: the cheapest tokens, those of unknown price last; the fewest GPUs; of GPUs
 * that there are the most tokens, for a load the most room. A rate makes the same tokens everywhere: then the
 * cheapest tokens are the cheapest hour. The order is the same with a price and without, where all GPUs have
 * the same one: both look at the same rounded number.
 */
export function rankKeys(
  { dollarsPerHour, gpus }: Pick<Priced, "dollarsPerHour" | "gpus">,
  { ttft, tpot, tokensPerSecondPerGpu, requestsPerSecond }: Given,
  { need, osl }: Pick<SizeOptions, "need" | "osl">,
): readonly number[] {
  if (ttft === null || tpot === null || tokensPerSecondPerGpu === null || requestsPerSecond === null)
    return [Number.POSITIVE_INFINITY, gpus, 0];
  const tokensPerSecond = tokensPerSecondPerGpu * gpus;
  const tokens = rounded(tokensWanted(need, { ttft, tpot, requestsPerSecond, tokensPerSecond }, osl));
  const cost = dollarsPerHour === null ? Number.POSITIVE_INFINITY : dollarsPerHour / tokens;
  return [cost, gpus, -("gpus" in need ? tokens : rounded(requestsPerSecond))];
}

/**
 * What decides between equals: the simplest, which is the one with fewer roles, with fewer ways to cut the
 * model, with fewer workers; then the fastest for each client. Its name is last, so that nothing is left to
 * the order in which they were found.
 */
function tieKeys({ roles, tpot, ttft }: Layout): readonly number[] {
  const cuts = roles.flatMap(cutsOf).length;
  const workers = roles.reduce((sum, { replicas }) => sum + replicas, 0);
  return [roles.length, cuts, workers, tpot, ttft];
}

const cutsOf = ({ tp, dp, pp, moeEp }: PredictedRole): number[] =>
  [tp, dp, pp, moeEp].filter((size) => size > 1);

const nameOf = (layout: Layout): string => [layout.engine, layout.accelerator, layoutText(layout)].join(" ");

const byText = (left: string, right: string): number => (left < right ? -1 : left > right ? 1 : 0);

/** Order of lists of as many numbers: the first that differ decide, the smaller one first. */
function byNumbers(left: readonly number[], right: readonly number[]): number {
  const at = left.findIndex((key, index) => key !== right[index]);
  return at === -1 ? 0 : (left[at] ?? 0) - (right[at] ?? 0);
}
