/** Access to the nodes of a deployment: local processes, or SkyPilot's ssh. */
import { existsSync } from "node:fs";
import type { ClusterState, NodeShell } from "../../lib/nodes";
import { Progress } from "../../lib/progress";
import type { VerbContext } from "../../lib/verb";
import { clusterDirectory, nodeDirectory } from "../../local/directories";
import { findNodeRecord, nodeShell } from "../../local/record";
import type { SkyClusters } from "../../sky/inspect";
import type { Deployed, DeployedNode } from "./deployed";

export interface Reach {
  /** By full name. Queried anew each time. */
  clusters(): Promise<Readonly<Record<string, ClusterState>>>;
  /** Undefined if the node no longer exists. */
  shell(node: DeployedNode): NodeShell | undefined;
  close(): void;
}

/** @throws UserError if SkyPilot is not available. */
export async function reach(deployed: Deployed, signal: AbortSignal): Promise<Reach> {
  const names = deployed.topology.map(({ cluster }) => cluster);
  if (deployed.deployment.target === "local") return localReach(names);
  const clusters = await skyClusters(deployed, signal);
  return {
    clusters: () => clusters.look(),
    shell: ({ cluster, rank }) => clusters.shell(cluster, rank),
    close: () => clusters.close(),
  };
}

/** The clusters of a deployment on SkyPilot. @throws UserError if SkyPilot is not available. */
export function skyClusters(deployed: Deployed, signal: AbortSignal): Promise<SkyClusters> {
  // Loaded lazily: a deployment on this machine does not need SkyPilot.
  const { SkyClusters: Clusters } = require("../../sky/inspect") as typeof import("../../sky/inspect");
  const { deployment, topology, cost } = deployed;
  const clusters = topology.map(({ cluster }) => cluster);
  const context: VerbContext = { progress: new Progress(), signal, result: () => undefined };
  return Clusters.open({ infra: deployment.infra, clusters, withPrices: cost === undefined }, context);
}

function localReach(names: readonly string[]): Reach {
  return {
    clusters: async () =>
      Object.fromEntries(
        names.map((name) => [name, { status: existsSync(clusterDirectory(name)) ? "UP" : "GONE" }]),
      ),
    shell: ({ cluster, rank }) => {
      const record = findNodeRecord(cluster, rank);
      return record && nodeShell(nodeDirectory(cluster, rank), record);
    },
    close: () => undefined,
  };
}
