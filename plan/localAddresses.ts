/** Addresses of nodes on this machine. Pure, so that whoever looks at a deployment knows them without asking. */
import type { DeploymentPlan } from "./types";

/** An address of its own for each local node: 127.0.0.1 for the first of all, then counting up. */
export function localAddresses(planned: DeploymentPlan): Map<string, string[]> {
  let next = 1;
  return new Map(
    planned.clusters.map((cluster) => [cluster.name, cluster.nodes.map(() => loopbackAddress(next++))]),
  );
}

/** The n-th address of 127.0.0.0/8, from 1. A last byte of 0 or 255 is left out: some tools take it for a network's own. */
function loopbackAddress(n: number): string {
  const block = Math.floor((n - 1) / 254);
  return `127.${Math.floor(block / 256)}.${block % 256}.${((n - 1) % 254) + 1}`;
}
