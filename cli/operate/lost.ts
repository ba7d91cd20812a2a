/** What of a deployment should run and does not. Asks its nodes and SkyPilot; Pulumi's state is not locked. */
import { firstBroken } from "../../components/repair";
import { brokenCluster } from "../../components/skyRepair";
import { observeCluster } from "../../local/observe";
import type { Deployed, DeployedCluster } from "../deployment/deployed";
import { skyClusters } from "../deployment/reach";

/** One line for each cluster of which something is lost; empty if all runs. */
export async function lostOf(deployed: Deployed, signal: AbortSignal): Promise<string[]> {
  const reasons =
    deployed.deployment.target === "local"
      ? await Promise.all(deployed.topology.map(lostLocally))
      : await lostOnSky(deployed, signal);
  return reasons.flatMap((reason) => (reason === undefined ? [] : [reason]));
}

async function lostLocally(cluster: DeployedCluster): Promise<string | undefined> {
  const nodes = await observeCluster(cluster.cluster);
  const gone = cluster.nodes.find(({ rank }) => !nodes.some((node) => node.rank === rank && node.supervisor));
  return gone === undefined
    ? firstBroken(cluster, nodes)
    : `node ${gone.rank} of ${cluster.cluster} does not run`;
}

async function lostOnSky(deployed: Deployed, signal: AbortSignal): Promise<(string | undefined)[]> {
  const clusters = await skyClusters(deployed, signal);
  try {
    const states = await clusters.look();
    return deployed.topology.map(({ cluster }) => {
      const reason = brokenCluster(states[cluster] ?? { status: "GONE" });
      return reason && `${cluster}: ${reason}`;
    });
  } finally {
    clusters.close();
  }
}
