/**
 * What of a deployment should run and does not. Asks its nodes and SkyPilot; Pulumi's state is not locked.
 */
import { firstBroken } from "../../components/repair";
import { brokenCluster } from "../../components/skyRepair";
import { type ObservedNode, observeNode } from "../../lib/observedNode";
import { type Deployed, type DeployedCluster, nodesOf } from "../deployment/deployed";
import type { Reach } from "../deployment/reach";
import { ANSWER_MS } from "./question";

/** What of a deployment says where it should run. */
interface Placed extends Pick<Deployed, "topology"> {
  readonly deployment: Pick<Deployed["deployment"], "target">;
}

/** One line for each cluster of which something is lost; empty if all runs. */
export async function lostOf(
  deployed: Placed,
  reach: Pick<Reach, "clusters" | "shell">,
  signal: AbortSignal,
): Promise<string[]> {
  const isLocal = deployed.deployment.target === "local";
  const states = await reach.clusters();
  const reasons = await Promise.all(
    deployed.topology.map(async (placed) => {
      const state = states[placed.cluster] ?? { status: "GONE" };
      const cluster = isLocal ? goneCluster(state.status) : brokenCluster(state);
      if (cluster !== undefined) return cluster;
      const nodes = await observed(placed, reach, signal);
      return (isLocal ? undefined : brokenCluster({ ...state, nodes })) ?? brokenOf(placed, nodes, isLocal);
    }),
  );
  return reasons.flatMap((reason, index) =>
    reason === undefined ? [] : [`${deployed.topology[index]?.cluster}: ${reason}`],
  );
}

function goneCluster(status: string): string | undefined {
  return status === "UP" ? undefined : `the cluster is ${status}`;
}

/** The nodes that answer. */
async function observed(
  placed: DeployedCluster,
  reach: Pick<Reach, "shell">,
  signal: AbortSignal,
): Promise<ObservedNode[]> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]);
  const seen = await Promise.all(
    nodesOf({ topology: [placed] }).map(async (node) => {
      const shell = reach.shell(node);
      return shell && (await observeNode(shell, node.rank, limit).catch(() => undefined));
    }),
  );
  return seen.filter((node) => node !== undefined);
}

/** On SkyPilot a node that does not answer is taken to be well: its task runs. */
function brokenOf(
  placed: DeployedCluster,
  nodes: readonly ObservedNode[],
  isLocal: boolean,
): string | undefined {
  const isThere = ({ rank }: { readonly rank: number }) =>
    nodes.some((node) => node.rank === rank && node.supervisor);
  const gone = isLocal ? placed.nodes.find((node) => !isThere(node)) : undefined;
  if (gone !== undefined) return `node ${gone.rank} does not run`;
  return firstBroken({ nodes: placed.nodes.filter(isThere) }, nodes);
}
