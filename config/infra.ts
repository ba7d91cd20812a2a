/**
 * What SkyPilot 0.14.1 can do where: kinds of infra, and for each cloud what it cannot. One home for what is known of infras; the contract
 * test (`test/contract/skyAccepts.test.ts`) asks SkyPilot itself whether it is so.
 */

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

/** Whether SkyPilot has a catalog of the machines there: not where they are whatever somebody has, nor where SkyPilot chooses the place. */
export function hasCatalog(infra: string): boolean {
  return infraKind(infra) === undefined && cloudOf(infra) !== "*";
}

/** Slurm runs containers only with Pyxis, opens no ports, and may give parts of one machine to several clusters. */
export function isSlurm(infra: string): boolean {
  return infraKind(infra) === "Slurm";
}

/** By the section of SkyPilot's configuration that is for it. */
const KUBERNETES_SECTIONS: Readonly<Record<string, "kubernetes" | "ssh">> = {
  k8s: "kubernetes",
  kubernetes: "kubernetes",
  ssh: "ssh",
};

/** Sections of SkyPilot's configuration for the Kubernetes that a cluster may come to; where SkyPilot chooses the place, that is any. */
export function kubernetesSections(infra: readonly string[]): readonly ("kubernetes" | "ssh")[] {
  const isOpen = infra.length === 0 || infra.some((one) => cloudOf(one) === "*");
  const named = isOpen ? ["kubernetes", "ssh"] : infra.map(cloudOf);
  return [...new Set(named.flatMap((cloud) => KUBERNETES_SECTIONS[cloud] ?? []))].toSorted();
}

/** What a deployment may ask of an infra. */
export type SkyFeature =
  | "spot"
  | "ports"
  /** Clusters that are stopped and kept. */
  | "stop"
  | "autodown"
  | "diskTier"
  /** Machines with RDMA (`network_tier: best`). */
  | "networkTier"
  /** An image that is a container's (`docker:…`). */
  | "containers"
  /** An image of the cloud's own machines. */
  | "machineImages"
  | "severalNodes"
  /** A login at the registry of the image. */
  | "registryLogin";

/**
 * What SkyPilot cannot do on a cloud: `_CLOUD_UNSUPPORTED_FEATURES` and `_unsupported_features_for_resources` of
 * https://github.com/skypilot-org/skypilot/tree/v0.14.1/sky/clouds, and for logins the templates of
 * https://github.com/skypilot-org/skypilot/tree/v0.14.1/sky/templates. A cloud that is not here is left to SkyPilot.
 */
export const UNABLE: Readonly<Record<string, readonly SkyFeature[]>> = {
  aws: [],
  azure: ["networkTier"],
  cudo: ["spot", "stop", "diskTier", "networkTier", "containers", "machineImages", "registryLogin"],
  do: ["spot", "diskTier", "networkTier"],
  fluidstack: ["spot", "stop", "diskTier", "networkTier", "machineImages", "registryLogin"],
  gcp: [],
  hyperbolic: [
    "spot",
    "ports",
    "stop",
    "autodown",
    "diskTier",
    "networkTier",
    "containers",
    "machineImages",
    "severalNodes",
    "registryLogin",
  ],
  ibm: ["ports", "diskTier", "containers", "registryLogin"],
  kubernetes: ["stop", "diskTier", "registryLogin"],
  lambda: ["spot", "stop", "diskTier", "networkTier", "machineImages"],
  mithril: ["ports", "diskTier", "networkTier", "machineImages"],
  nebius: [],
  oci: ["containers", "registryLogin"],
  paperspace: ["spot", "diskTier", "networkTier", "machineImages"],
  primeintellect: [
    "stop",
    "autodown",
    "diskTier",
    "networkTier",
    "containers",
    "machineImages",
    "severalNodes",
    "registryLogin",
  ],
  runpod: ["stop", "diskTier", "networkTier", "severalNodes"],
  scp: ["spot", "diskTier", "networkTier", "containers", "machineImages", "registryLogin"],
  seeweb: ["spot", "diskTier", "networkTier", "machineImages", "severalNodes"],
  shadeform: [
    "spot",
    "stop",
    "diskTier",
    "networkTier",
    "containers",
    "machineImages",
    "severalNodes",
    "registryLogin",
  ],
  slurm: ["spot", "ports", "stop", "registryLogin"],
  ssh: ["stop", "diskTier", "registryLogin"],
  vast: ["diskTier", "networkTier", "severalNodes", "registryLogin"],
  verda: ["ports", "stop", "autodown", "diskTier", "networkTier", "containers", "severalNodes"],
  vsphere: [
    "spot",
    "ports",
    "diskTier",
    "networkTier",
    "containers",
    "machineImages",
    "severalNodes",
    "registryLogin",
  ],
  yotta: ["spot", "stop", "autodown", "diskTier", "networkTier", "severalNodes"],
};

/** What only SkyPilot can know, because it looks: labels for spot and networks of a Kubernetes cluster, containers on Slurm with Pyxis. */
export const UNCERTAIN: Readonly<Record<string, readonly SkyFeature[]>> = {
  kubernetes: ["spot", "networkTier"],
  // It has InfiniBand on its machines with eight GPUs.
  nebius: ["networkTier"],
  slurm: ["containers"],
  ssh: ["spot", "networkTier"],
};

const ALIASES: Readonly<Record<string, string>> = { k8s: "kubernetes" };

function has(table: Readonly<Record<string, readonly SkyFeature[]>>, infra: string, feature: SkyFeature) {
  const cloud = cloudOf(infra);
  return table[ALIASES[cloud] ?? cloud]?.includes(feature) === true;
}

/** Whether SkyPilot cannot do it there, whatever the cluster is. */
export function cannot(infra: string, feature: SkyFeature): boolean {
  return has(UNABLE, infra, feature);
}

/** Whether the nodes may be told to run a container by default: not where SkyPilot cannot, nor on Slurm, where it takes Pyxis. */
export function runsContainers(infra: string): boolean {
  return !has(UNABLE, infra, "containers") && !has(UNCERTAIN, infra, "containers");
}

/**
 * Whether SkyPilot can be asked for RDMA there without losing the place: any place that cannot give it is left out when it is asked for
 * that. Of Kubernetes clusters SkyPilot takes those in which it finds such a network.
 */
export function hasNetworkTiers(infra: string): boolean {
  const cloud = cloudOf(infra);
  const isKnown = UNABLE[cloud] !== undefined && infraKind(infra) === undefined;
  return isKnown && !cannot(infra, "networkTier");
}
