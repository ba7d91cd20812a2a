/** Kinds of infra that differ from a cloud's machines in what SkyPilot can do with them. */

export type InfraKind = "Slurm" | "Kubernetes";

/** By the name before the first `/`. Node pools that SkyPilot reaches by ssh are a Kubernetes that it sets up itself. */
const KINDS: Readonly<Record<string, InfraKind>> = {
  slurm: "Slurm",
  k8s: "Kubernetes",
  kubernetes: "Kubernetes",
  ssh: "Kubernetes",
};

/** The cloud, or what stands in its place, of an infra as the configuration names it: `aws` of `AWS/us-east-1`. */
export function cloudOf(infra: string): string {
  return (infra.split("/")[0] ?? "").toLowerCase();
}

/** The kind of an infra as the configuration names it (`slurm/lab`, `k8s/my-context`); undefined for a cloud's machines. */
export function infraKind(infra: string): InfraKind | undefined {
  return KINDS[cloudOf(infra)];
}

/** Slurm runs containers only with Pyxis, opens no ports, and may give parts of one machine to several clusters. */
export function isSlurm(infra: string): boolean {
  return infraKind(infra) === "Slurm";
}

/**
 * Clouds on which SkyPilot 0.14.1 can ask for machines with RDMA (`network_tier: best`). Any other one it leaves out when it is
 * asked for that; of Kubernetes clusters it takes those in which it finds such a network.
 * https://github.com/skypilot-org/skypilot/tree/v0.14.1/sky/clouds (`CUSTOM_NETWORK_TIER`)
 */
const WITH_RDMA: ReadonlySet<string> = new Set(["aws", "gcp", "ibm", "nebius", "oci"]);

/** Whether SkyPilot can be asked for RDMA there without losing the place. */
export function hasNetworkTiers(infra: string): boolean {
  return WITH_RDMA.has(cloudOf(infra));
}
