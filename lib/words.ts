/** Plural forms. */

/** `1 node`, `2 nodes`. `several` is for irregular plurals. */
export function counted(count: number, one: string, several = `${one}s`): string {
  return `${count} ${count === 1 ? one : several}`;
}
