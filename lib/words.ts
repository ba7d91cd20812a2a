/** Plural forms, and sentences of several remedies. */

/** `1 node`, `2 nodes`. `several` is for irregular plurals. */
export function counted(count: number, one: string, several = `${one}s`): string {
  return `${count} ${count === 1 ? one : several}`;
}

/** `Use this, or set that`, of ways to mend something: `use this`, `set that`. */
export function inWords(ways: readonly string[]): string {
  const text = ways.join(", or ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}
