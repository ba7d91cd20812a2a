/** Directories of local clusters on this machine. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { stateDir } from "../lib/dirs";
import { codeOf } from "../lib/errors";

/**
 * Directory of one local cluster. The name is validated (`nameSchema`), so it cannot escape the state
 * directory.
 */
export function clusterDirectory(cluster: string): string {
  return join(stateDir(), "clusters", cluster);
}

export function nodeDirectory(cluster: string, rank: number): string {
  return join(clusterDirectory(cluster), `node${rank}`);
}

/** Ranks that have a directory, ascending; empty if the cluster is unknown. */
export function ranksOnDisk(cluster: string): number[] {
  try {
    return readdirSync(clusterDirectory(cluster))
      .flatMap((entry) => /^node(\d+)$/.exec(entry)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** Text of a file; undefined if it is not there. */
export function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Whether a file-system error is ENOENT. */
export function isMissing(error: unknown): boolean {
  return codeOf(error) === "ENOENT";
}
