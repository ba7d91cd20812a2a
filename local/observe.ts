/** `local observe`: state of the named clusters. Read-only. */
import { type UnitsState, unitsState } from "../lib/nodeUnits";
import { defineVerb } from "../lib/verb";
import { nodeDirectory, ranksOnDisk } from "./directories";
import { findNodeRecord, nodeShell } from "./record";
import { localObserveSchema } from "./spec";

const LIMIT_SECONDS = 30;

/** State of one node. */
export interface ObservedNode {
  readonly rank: number;
  /** False if no supervisor runs on the node. */
  readonly supervisor: boolean;
  readonly programs: readonly ObservedProgram[];
}

export interface ObservedProgram {
  readonly name: string;
  readonly unit: string;
  /** Supervisor's state, corrected by the launcher's (see `lib/nodeUnits.ts`), or {@link UNFINISHED}. */
  readonly state: string;
}

/** State of a program whose unit was being changed when that failed or was interrupted. */
export const UNFINISHED = "UNFINISHED";

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
  return Promise.all(ranksOnDisk(cluster).map((rank) => observeNode(cluster, rank)));
}

/** A node whose agent does not answer, for instance because its interpreter is gone. */
const NOTHING: UnitsState = { supervisor: false, programs: [] };

async function observeNode(cluster: string, rank: number): Promise<ObservedNode> {
  const record = findNodeRecord(cluster, rank);
  if (record === undefined) return { rank, supervisor: false, programs: [] };
  const limit = AbortSignal.timeout(LIMIT_SECONDS * 1000);
  const seen = await unitsState(nodeShell(nodeDirectory(cluster, rank), record), 0, limit).catch(
    () => NOTHING,
  );
  const programs = seen.programs.map(({ name, unit, state, unfinished }) => ({
    name,
    unit,
    state: unfinished ? UNFINISHED : state,
  }));
  return { rank, supervisor: seen.supervisor, programs };
}
