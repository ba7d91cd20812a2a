/** A search for any packing, for odd sizes for which the simple rule of `packing.ts` finds none. */

/**
 * Number of visited states before the search gives up; limits the planning time if a packing is hard to find.
 */
const MOST_STATES = 20_000;

interface Search {
  readonly gpusPerNode: number;
  /** Distinct sizes, largest first. */
  readonly sizes: readonly number[];
  /** Visited states (nodes left, items left) without a solution. */
  readonly dead: Set<string>;
  states: number;
}

/** Contents of one node: number of items of each size. */
type Filling = readonly number[];

/**
 * Fills node after node. The largest remaining item must go somewhere, so it goes to the current node,
 * together with every combination of smaller ones that wastes no more than allowed.
 * @returns The node of each item; undefined if there is no packing or none was found within the limit.
 */
export function searchPacking(
  itemSizes: readonly number[],
  nodes: number,
  gpusPerNode: number,
): number[] | undefined {
  const sizes = [...new Set(itemSizes)].sort((a, b) => b - a);
  const counts = sizes.map((size) => itemSizes.filter((other) => other === size).length);
  const total = itemSizes.reduce((sum, size) => sum + size, 0);
  const slack = nodes * gpusPerNode - total;
  if (slack < 0) return undefined;
  const search: Search = { gpusPerNode, sizes, dead: new Set(), states: 0 };
  const fillings = fill(search, counts, nodes, slack);
  return fillings === undefined ? undefined : nodesOfItems(itemSizes, sizes, fillings);
}

/** Depth-first with an explicit stack, since there may be thousands of nodes. */
function fill(
  search: Search,
  counts: readonly number[],
  nodes: number,
  slack: number,
): Filling[] | undefined {
  interface Level {
    readonly counts: readonly number[];
    readonly slack: number;
    readonly choices: Filling[];
  }
  const open = (remaining: readonly number[], waste: number): Level => ({
    counts: remaining,
    slack: waste,
    choices: fillingsOf(search, remaining, waste),
  });
  const chosen: Filling[] = [];
  const levels = [open(counts, slack)];
  for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
    if (level.counts.every((count) => count === 0)) return chosen;
    const choice = chosen.length < nodes ? level.choices.pop() : undefined;
    if (choice === undefined) {
      search.dead.add(`${chosen.length}:${level.counts.join()}`);
      levels.pop();
      chosen.pop();
      continue;
    }
    if (++search.states > MOST_STATES) return undefined;
    const remaining = level.counts.map((count, index) => count - (choice[index] ?? 0));
    if (search.dead.has(`${chosen.length + 1}:${remaining.join()}`)) continue;
    const used = choice.reduce((sum, count, index) => sum + count * (search.sizes[index] ?? 0), 0);
    chosen.push(choice);
    levels.push(open(remaining, level.slack - (search.gpusPerNode - used)));
  }
  return undefined;
}

/**
 * Ways to fill one node that include the largest remaining item and waste at most `slack`; the best one last.
 */
function fillingsOf({ sizes, gpusPerNode }: Search, counts: readonly number[], slack: number): Filling[] {
  const largest = counts.findIndex((count) => count > 0);
  const fillings: Filling[] = [];
  const extend = (index: number, room: number, taken: readonly number[]): void => {
    const size = sizes[index];
    if (size === undefined) {
      if (room <= slack) fillings.push(taken);
      return;
    }
    const least = index === largest ? 1 : 0;
    const most = Math.min(counts[index] ?? 0, Math.floor(room / size));
    for (let count = least; count <= most; count++) {
      extend(index + 1, room - count * size, [...taken, count]);
    }
  };
  if (largest >= 0) extend(0, gpusPerNode, []);
  return fillings;
}

/** Converts the contents of nodes to the node of each item. */
function nodesOfItems(
  itemSizes: readonly number[],
  sizes: readonly number[],
  fillings: readonly Filling[],
): number[] {
  const places = new Map<number, number[]>(sizes.map((size) => [size, []]));
  fillings.forEach((filling, node) => {
    filling.forEach((count, index) => {
      const of = places.get(sizes[index] ?? 0);
      for (let n = 0; n < count; n++) of?.push(node);
    });
  });
  const next = new Map<number, number>();
  return itemSizes.map((size) => {
    const index = next.get(size) ?? 0;
    next.set(size, index + 1);
    return places.get(size)?.[index] ?? 0;
  });
}
