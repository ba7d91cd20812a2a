/** What `pulumi stack rm` keeps of a stack in the backend of this machine. */
import { rmdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";

/**
 * Removes the backups of its state, which hold its last secrets, and the directories that are empty then.
 *
 * @param directory Of the backend: pkg/backend/diy of github.com/pulumi/pulumi.
 * @param more Further files of the stack.
 * @param top Above it nothing is removed.
 */
export function removeRest(
  directory: string,
  [project, stack]: readonly [project: string, stack: string],
  more: readonly string[],
  top: string,
): void {
  const pulumi = join(directory, ".pulumi");
  const paths = [
    join(pulumi, "backups", project, stack),
    join(pulumi, "history", project, stack),
    join(pulumi, "locks", "organization", project, stack),
    ...["", ".attrs"].map((suffix) => join(pulumi, "stacks", project, `${stack}.json.bak${suffix}`)),
    ...more,
  ];
  for (const path of paths) {
    rmSync(path, { recursive: true, force: true });
    removeEmpty(dirname(path), top);
  }
}

/** Removes a directory and those above it as far as they are empty. */
function removeEmpty(directory: string, top: string): void {
  for (let path = directory; path.startsWith(`${top}/`); path = dirname(path))
    try {
      rmdirSync(path);
    } catch {
      return; // not empty, or not there
    }
}
