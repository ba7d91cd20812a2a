/** Addresses of nodes on this machine. Pure, so that they are known without a query. */
import type { DeploymentPlan } from "./types";

/** A separate address for each local node: 127.0.0.1 for the first, then counting up. */
export function localAddresses(planned: DeploymentPlan): Map<string, string[]> {
  let next = 1;
  return new Map(
    planned.clusters.map((cluster) => [cluster.name, cluster.nodes.map(() => loopbackAddress(next++))]),
  );
}

/**
 * The n-th address of 127.0.0.0/8, from 1. Skips a last byte of 0 or 255, which some tools take for a
 * network's own.
 */
function loopbackAddress(n: number): string {
  const block = Math.floor((n - 1) / 254);
  return `127.${Math.floor(block / 256)}.${block % 256}.${((n - 1) % 254) + 1}`;
}
