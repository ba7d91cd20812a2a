/** What of a stack's local clusters really runs, asked once at the start of a program. Changes nothing. */
import { type Dirent, readdirSync } from "node:fs";
import { join } from "node:path";
import { stateDirectory } from "../local/directories";
import { type ObservedNode, observeCluster } from "../local/observe";
import { clusterPrefixName } from "./names";

/** What was seen, and when. */
export interface Observation {
  /** ISO 8601. */
  readonly at: string;
  /** The nodes of every cluster, by its full name. */
  readonly clusters: ReadonlyMap<string, readonly ObservedNode[]>;
}

/**
 * Looks at the local clusters whose name begins with the prefix. `DynamoCluster` marks what should run and does not, so
 * that a preview shows it with the reason and an update repairs it.
 *
 * @param prefix As `DynamoCluster` has it in `clusterPrefix`.
 */
export async function observeLocal(prefix: string): Promise<Observation> {
  const at = new Date().toISOString();
  const start = `${clusterPrefixName(prefix)}-`;
  const names = clustersOnDisk().filter((name) => name.startsWith(start));
  const clusters = await Promise.all(names.map(async (name) => [name, await observeCluster(name)] as const));
  return { at, clusters: new Map(clusters) };
}

function clustersOnDisk(): string[] {
  let entries: Dirent[];
  try {
    entries = readdirSync(join(stateDirectory(), "clusters"), { withFileTypes: true });
  } catch {
    // No such directory: there has never been a local cluster on this machine.
    return [];
  }
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}
