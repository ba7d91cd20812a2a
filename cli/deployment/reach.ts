/** Access to the nodes of a deployment: local processes, or SkyPilot's ssh. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { ClusterState, NodeShell } from "../../lib/nodes";
import { Progress } from "../../lib/progress";
import type { VerbContext } from "../../lib/verb";
import { clusterDirectory, nodeDirectory } from "../../local/directories";
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
    shell: ({ cluster, rank }) => localShell(nodeDirectory(cluster, rank)),
    close: () => undefined,
  };
}

/** The node's record has the interpreter of its supervisor. */
function localShell(directory: string): NodeShell | undefined {
  let record: unknown;
  try {
    record = JSON.parse(readFileSync(join(directory, "node.json"), "utf8"));
  } catch {
    return undefined;
  }
  const named = typeof record === "object" && record !== null && "pythonBin" in record && record.pythonBin;
  return typeof named === "string" ? { command: named, args: (words) => words, directory } : undefined;
}
