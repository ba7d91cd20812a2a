/** Actual state of a stack's local clusters, read once when a program starts. Read-only. */

import { type Dirent, readdirSync } from "node:fs";
import { join } from "node:path";
import type { DeploymentConfig } from "../config/deployment";
import { stateDir } from "../lib/dirs";
import type { ObservedNode } from "../lib/observedNode";
import { observeCluster } from "../local/observe";
import { isUnproven } from "../local/proven";
import { preflightLocal } from "./localPreflight";
import { clusterPrefixName } from "./names";
import { reportedLater } from "./problems";

/** State of one cluster. */
export interface ObservedCluster {
  readonly nodes: readonly ObservedNode[];
  /** Whether a cluster has changed since the deployment was last proven to serve. */
  readonly unproven: boolean;
}

/** The observed state, and when it was read. */
export interface Observation {
  /** ISO 8601. */
  readonly at: string;
  /** By full name. */
  readonly clusters: ReadonlyMap<string, ObservedCluster>;
}

/**
 * Observes the local clusters whose name starts with the prefix. `DynamoCluster` marks what should run and
 * does not, so that a preview shows it with the reason and an update repairs it.
 *
 * @param prefix Value of `DynamoCluster`'s `clusterPrefix`.
 * @param wanted The deployment's configuration, to check this machine now, for instance for ports in use or a
 * missing model directory. Default: problems are reported when it is set up.
 * @throws pulumi.RunError that lists all obstacles.
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
    entries = readdirSync(join(stateDir(), "clusters"), { withFileTypes: true });
  } catch {
    // No such directory: this machine has never had a local cluster.
    return [];
  }
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}
