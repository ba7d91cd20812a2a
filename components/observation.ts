/** What of a stack's local clusters really runs, asked once at the start of a program. Changes nothing. */
import { type Dirent, readdirSync } from "node:fs";
import { join } from "node:path";
import { stateDirectory } from "../local/directories";
import { type ObservedNode, observeCluster } from "../local/observe";
import { isUnproven } from "../local/pendingChanges";
import type { DeploymentConfig } from "../plan/config";
import { preflightLocal } from "./localPreflight";
import { clusterPrefixName } from "./names";
import { reportedLater } from "./problems";

/** What was seen of a cluster. */
export interface ObservedCluster {
  readonly nodes: readonly ObservedNode[];
  /** Whether the deployment has not proven that it serves since something of the cluster was changed. */
  readonly unproven: boolean;
}

/** What was seen, and when. */
export interface Observation {
  /** ISO 8601. */
  readonly at: string;
  /** By full name. */
  readonly clusters: ReadonlyMap<string, ObservedCluster>;
}

/**
 * Looks at the local clusters whose name begins with the prefix. `DynamoCluster` marks what should run and does not, so
 * that a preview shows it with the reason and an update repairs it.
 *
 * @param prefix As `DynamoCluster` has it in `clusterPrefix`.
 * @param wanted The configuration of the deployment: then what is in its way on this machine is told now, such as a port that another
 *   program holds or a model's directory that is not there. Default: it shows when it is set up.
 * @throws pulumi.RunError that lists what is in its way.
 */
export async function observeLocal(prefix: string, wanted?: DeploymentConfig): Promise<Observation> {
  const at = new Date().toISOString();
  const start = `${clusterPrefixName(prefix)}-`;
  const names = clustersOnDisk().filter((name) => name.startsWith(start));
  if (wanted !== undefined) {
    await reportedLater(() => preflightLocal(wanted, names));
  }
  const clusters = names.map(
    async (name) => [name, { nodes: await observeCluster(name), unproven: isUnproven(name) }] as const,
  );
  return { at, clusters: new Map(await Promise.all(clusters)) };
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
