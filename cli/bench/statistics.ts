/** Statistics of few repeats. Pure. */

export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** Undefined if there are no values. */
export function spread(values: readonly number[]): Spread | undefined {
  if (values.length === 0) return undefined;
  const sorted = [...values].sort((a, b) => a - b);
  const at = (index: number) => sorted[index] ?? Number.NaN;
  const middle = (sorted.length - 1) / 2;
  return {
    median: (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2,
    least: at(0),
    most: at(sorted.length - 1),
  };
}

/** Measurements of both runs under the same conditions. */
export interface Stratum {
  readonly a: readonly number[];
  readonly b: readonly number[];
}

/**
 * Probability that `a` and `b` differ at least this much by chance alone: the exact two-sided rank test of
 * Mann and Whitney (https://doi.org/10.1214/aoms/1177730491), over all permutations, so that it holds for the
 * smallest samples, for ties and for any distribution. For several strata the rank sums are added up, as van
 * Elteren did. Go's benchstat uses the same test.
 */
export function pValue(strata: readonly Stratum[]): number {
  const ranked = strata.map(({ a, b }) => {
    const ranks = midRanks([...a, ...b]);
    const expected = (a.length * (ranks.length + 1)) / 2;
    return { ranks, count: a.length, found: sum(ranks.slice(0, a.length)) - expected, expected };
  });
  const found = Math.abs(sum(ranked.map((one) => one.found)));
  // Doubled ranks are integers, so equal distances are equal keys.
  let distances = new Map([[0, 1]]);
  for (const { ranks, count, expected } of ranked)
    distances = added(distances, distribution(ranks, count, expected));
  const all = sum([...distances.values()]);
  return sum([...distances].map(([distance, ways]) => (Math.abs(distance) >= found ? ways : 0))) / all;
}

/** The smallest possible {@link pValue} for samples of these sizes without ties. */
export function leastPValue(strata: readonly Stratum[]): number {
  return pValue(
    strata.map(({ a, b }) => ({ a: a.map((_, index) => index), b: b.map((_, index) => a.length + index) })),
  );
}

/** Number of choices of `count` ranks by distance from the expected sum. */
function distribution(ranks: readonly number[], count: number, expected: number): Map<number, number> {
  const ways = new Map<number, number>();
  for (const chosen of sumsOfSubsets(ranks, count)) {
    const distance = chosen - expected;
    ways.set(distance, (ways.get(distance) ?? 0) + 1);
  }
  return ways;
}

/** Distribution of the sum of two independent values. */
function added(a: ReadonlyMap<number, number>, b: ReadonlyMap<number, number>): Map<number, number> {
  const result = new Map<number, number>();
  for (const [left, ways] of a)
    for (const [right, more] of b) result.set(left + right, (result.get(left + right) ?? 0) + ways * more);
  return result;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** Rank of each value, from 1; equal values share the mean of their ranks. */
function midRanks(values: readonly number[]): number[] {
  return values.map((value) => {
    const below = values.filter((other) => other < value).length;
    const equal = values.filter((other) => other === value).length;
    return below + (equal + 1) / 2;
  });
}

/** Sums of all subsets of `count` numbers. */
function* sumsOfSubsets(numbers: readonly number[], count: number, total = 0, from = 0): Generator<number> {
  if (count === 0) {
    yield total;
    return;
  }
  for (let index = from; index <= numbers.length - count; index++)
    yield* sumsOfSubsets(numbers, count - 1, total + (numbers[index] ?? 0), index + 1);
}
