/** `local observe`: state of the named clusters. Read-only. */
import { join } from "node:path";
import { defineVerb } from "../lib/verb";
import { UNITS } from "../plan/node/paths";
import { nodeDirectory, ranksOnDisk } from "./directories";
import { isUnfinished } from "./pendingChanges";
import { localObserveSchema } from "./spec";
import { programState } from "./state";
import { SupervisorClient } from "./supervisor";
import { unitsOnDisk } from "./unit";

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
  /** Supervisor's state, corrected by the launcher's (see `programState`), or {@link UNFINISHED}. */
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

async function observeNode(cluster: string, rank: number): Promise<ObservedNode> {
  const directory = nodeDirectory(cluster, rank);
  const states = await new SupervisorClient(directory).programs().catch(() => undefined);
  const programs = unitsOnDisk(join(directory, UNITS)).flatMap(({ unit, programs }) =>
    programs.map((name) => ({
      name,
      unit,
      state: isUnfinished(cluster, rank, unit) ? UNFINISHED : programState(directory, name, states),
    })),
  );
  return { rank, supervisor: states !== undefined, programs };
}
