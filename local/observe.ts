/** `local observe`: state of the named clusters. Read-only. */
import { type ObservedNode, observeNode } from "../lib/observedNode";
import { defineVerb } from "../lib/verb";
import { nodeDirectory, ranksOnDisk } from "./directories";
import { findNodeRecord, nodeShell } from "./record";
import { localObserveSchema } from "./spec";

const LIMIT_SECONDS = 30;

/** The result: the nodes of each cluster, an empty list if the cluster does not exist. */
export type ObservedClusters = Readonly<Record<string, readonly ObservedNode[]>>;

export const verb = defineVerb({
  input: localObserveSchema,
  timeoutSeconds: () => LIMIT_SECONDS,
  run: async ({ clusters }, { result }) => {
    const observed = await Promise.all(
      clusters.map(async (cluster) => [cluster, await observeCluster(cluster)] as const),
    );
    result(Object.fromEntries(observed) satisfies ObservedClusters);
  },
});

/** State of one local cluster. */
export async function observeCluster(cluster: string): Promise<ObservedNode[]> {
  return Promise.all(ranksOnDisk(cluster).map((rank) => observe(cluster, rank)));
}

async function observe(cluster: string, rank: number): Promise<ObservedNode> {
  const nothing = { rank, supervisor: false, programs: [] };
  const record = findNodeRecord(cluster, rank);
  if (record === undefined) return nothing;
  const limit = AbortSignal.timeout(LIMIT_SECONDS * 1000);
  return observeNode(nodeShell(nodeDirectory(cluster, rank), record), rank, limit).catch(() => nothing);
}
