/** The items whose keys differ, in the order of the keys' first appearance; of equal keys the last item. */
export function uniqueBy<T>(items: readonly T[], key: (item: T) => string): T[] {
  return [...new Map(items.map((item) => [key(item), item])).values()];
}
