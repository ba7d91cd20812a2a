/** Words that depend on a number. */

/** `1 node`, `2 nodes`. `several` is for a plural that is more than an `s`. */
export function counted(count: number, one: string, several = `${one}s`): string {
  return `${count} ${count === 1 ? one : several}`;
}
