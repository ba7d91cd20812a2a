/**
 * Capabilities of SkyPilot 0.14.1: kinds of infra, and features that a cloud does not support. The only place
 * for facts about infras; the contract test (`test/contract/skyAccepts.test.ts`) compares them with SkyPilot
 * itself.
 */

/** Infras that are no clouds, of which some settings mean something else. */
export type InfraKind = "Slurm" | "Kubernetes";

/** Other names of clouds that SkyPilot takes. */
export const ALIASES: Readonly<Record<string, string>> = { digitalocean: "do", k8s: "kubernetes" };

/** By cloud. Ssh node pools are a Kubernetes that SkyPilot sets up itself. */
const KINDS: Readonly<Record<string, InfraKind>> = {
  slurm: "Slurm",
  kubernetes: "Kubernetes",
  ssh: "Kubernetes",
};

/**
 * The cloud (or scheduler) of an infra, by SkyPilot's own name: `aws` of `AWS/us-east-1`, `kubernetes` of
 * `k8s`.
 */
export function cloudOf(infra: string): string {
  const name = (infra.split("/")[0] ?? "").toLowerCase();
  return ALIASES[name] ?? name;
}

/** The region of a cloud's infra (`us-east-1` of `aws/us-east-1/us-east-1a`); undefined for any. */
export function placeOf(infra: string): string | undefined {
  const [, region] = infra.split("/");
  return region === undefined || region === "*" ? undefined : region;
}

/** The kind of an infra (`slurm/lab`, `k8s/my-context`); undefined for a cloud's machines. */
export function infraKind(infra: string): InfraKind | undefined {
  return KINDS[cloudOf(infra)];
}

/**
 * Whether SkyPilot has a catalog of the machines there: not where they are whatever somebody has, nor where
 * SkyPilot chooses the place.
 */
export function hasCatalog(infra: string): boolean {
  return infraKind(infra) === undefined && cloudOf(infra) !== "*";
}

/**
 * Slurm runs containers only with Pyxis, opens no ports, and may split one machine among several clusters.
 */
export function isSlurm(infra: string): boolean {
  return infraKind(infra) === "Slurm";
}

/** Sections of SkyPilot's configuration, by the names of their clouds. */
const KUBERNETES_SECTIONS = ["kubernetes", "ssh"] as const;

/**
 * Sections of SkyPilot's configuration for each Kubernetes that may be chosen; any, if SkyPilot chooses the
 * infra.
 */
export function kubernetesSections(infra: readonly string[]): readonly ("kubernetes" | "ssh")[] {
  const isOpen = infra.length === 0 || infra.some((one) => cloudOf(one) === "*");
  return KUBERNETES_SECTIONS.filter((section) => isOpen || infra.some((one) => cloudOf(one) === section));
}

/** Features that a deployment may request of an infra. */
export type SkyFeature =
  | "spot"
  | "ports"
  /** Clusters that can be stopped and kept. */
  | "stop"
  | "autodown"
  | "diskTier"
  /** Machines with RDMA (`network_tier: best`). */
  | "networkTier"
  /** A container image (`docker:…`). */
  | "containers"
  /** A machine image of the cloud. */
  | "machineImages"
  | "severalNodes"
  /** A login at the image's registry. */
  | "registryLogin"
  /** Volumes, by name (`sky volumes`). */
  | "volumes"
  /** A limit on a machine's price (`max_hourly_cost`). */
  | "hourlyCost";

/**
 * Features that SkyPilot does not support on a cloud: `_CLOUD_UNSUPPORTED_FEATURES` and
 * `_unsupported_features_for_resources` of https://github.com/skypilot-org/skypilot/tree/v0.14.1/sky/clouds,
 * and for logins and containers the templates of
 * https://github.com/skypilot-org/skypilot/tree/v0.14.1/sky/templates too; for a machine's price
 * `get_default_instance_type` of each.
 */
export const UNSUPPORTED: Readonly<Record<string, readonly SkyFeature[]>> = {
  aws: ["volumes"],
  azure: ["networkTier", "volumes"],
  cudo: [
    "spot",
    "stop",
    "diskTier",
    "networkTier",
    "containers",
    "machineImages",
    "registryLogin",
    "volumes",
  ],
  do: ["spot", "diskTier", "networkTier", "volumes"],
  fluidstack: [
    "spot",
    "stop",
    "diskTier",
    "networkTier",
    "containers",
    "machineImages",
    "registryLogin",
    "volumes",
  ],
  gcp: ["volumes"],
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
    "volumes",
  ],
  ibm: ["ports", "diskTier", "containers", "registryLogin", "volumes"],
  kubernetes: ["stop", "diskTier", "registryLogin", "hourlyCost"],
  lambda: ["spot", "stop", "diskTier", "networkTier", "machineImages", "volumes"],
  mithril: ["ports", "diskTier", "networkTier", "machineImages", "volumes"],
  nebius: ["volumes"],
  oci: ["containers", "registryLogin", "volumes"],
  paperspace: ["spot", "diskTier", "networkTier", "machineImages", "volumes"],
  primeintellect: [
    "stop",
    "autodown",
    "diskTier",
    "networkTier",
    "containers",
    "machineImages",
    "severalNodes",
    "registryLogin",
    "volumes",
  ],
  runpod: ["stop", "diskTier", "networkTier", "severalNodes"],
  scp: ["spot", "diskTier", "networkTier", "containers", "machineImages", "registryLogin", "volumes"],
  seeweb: ["spot", "diskTier", "networkTier", "machineImages", "severalNodes", "volumes"],
  shadeform: [
    "spot",
    "stop",
    "diskTier",
    "networkTier",
    "containers",
    "machineImages",
    "severalNodes",
    "registryLogin",
    "volumes",
  ],
  slurm: ["spot", "ports", "stop", "registryLogin", "volumes", "hourlyCost"],
  ssh: ["stop", "diskTier", "registryLogin", "hourlyCost"],
  vast: ["diskTier", "networkTier", "severalNodes", "registryLogin", "volumes"],
  verda: ["ports", "stop", "autodown", "diskTier", "networkTier", "containers", "severalNodes", "volumes"],
  vsphere: [
    "spot",
    "ports",
    "diskTier",
    "networkTier",
    "containers",
    "machineImages",
    "severalNodes",
    "registryLogin",
    "volumes",
  ],
  yotta: ["spot", "stop", "autodown", "diskTier", "networkTier", "severalNodes", "volumes"],
};

/**
 * Features that only SkyPilot can determine, by a query: labels for spot and networks of a Kubernetes
 * cluster, containers on Slurm with Pyxis.
 */
export const UNCERTAIN: Readonly<Record<string, readonly SkyFeature[]>> = {
  kubernetes: ["spot", "networkTier"],
  // It has InfiniBand only on machines with eight GPUs.
  nebius: ["networkTier"],
  slurm: ["containers"],
  ssh: ["spot", "networkTier"],
};

/** What SkyPilot knows before the first `/`, apart from `*`. */
export const CLOUDS: readonly string[] = [...Object.keys(UNSUPPORTED), ...Object.keys(ALIASES)].toSorted();

function has(table: Readonly<Record<string, readonly SkyFeature[]>>, infra: string, feature: SkyFeature) {
  return table[cloudOf(infra)]?.includes(feature) === true;
}

/** Whether SkyPilot never supports the feature there. */
export function cannot(infra: string, feature: SkyFeature): boolean {
  return has(UNSUPPORTED, infra, feature);
}

/**
 * Whether nodes run NVIDIA's image by default: not if SkyPilot does not support containers there, nor on
 * Slurm, which needs Pyxis, nor where a container runs as its image's user.
 */
export function runsContainers(infra: string): boolean {
  return (
    !has(UNSUPPORTED, infra, "containers") && !has(UNCERTAIN, infra, "containers") && !runsAsImageUser(infra)
  );
}

/** Whether the options of `docker run` in SkyPilot's configuration have an effect there. */
export function takesRunOptions(infra: string): boolean {
  return APPLIED_ON.runOptions.includes(cloudOf(infra)) && !cannot(infra, "containers");
}

/**
 * Whether a container there runs as the user of its image, whatever the task says: it is what the cloud
 * rents, so there is neither a pod nor a `docker run` that could say otherwise.
 */
export function runsAsImageUser(infra: string): boolean {
  const isKnown = UNSUPPORTED[cloudOf(infra)] !== undefined && infraKind(infra) === undefined;
  return isKnown && !cannot(infra, "containers") && !takesRunOptions(infra);
}

/**
 * Whether RDMA can be requested there without excluding the infra: SkyPilot skips infras that cannot provide
 * it. Of Kubernetes clusters SkyPilot chooses those with such a network.
 */
export function hasNetworkTiers(infra: string): boolean {
  const cloud = cloudOf(infra);
  const isKnown = UNSUPPORTED[cloud] !== undefined && infraKind(infra) === undefined;
  return isKnown && !cannot(infra, "networkTier");
}

/**
 * Whether machines with RDMA may have an image of one's own there. Elsewhere SkyPilot refuses the two
 * together.
 */
export function takesRdmaByMachineImage(infra: string): boolean {
  return ["gcp", "nebius"].includes(cloudOf(infra));
}

/** What SkyPilot takes, and then leaves out without a word, on some clouds. */
export type IgnoredSetting = "labels" | "diskSize" | "runOptions";

/**
 * Where each has an effect: it is in the template of the cloud
 * (https://github.com/skypilot-org/skypilot/tree/v0.14.1/sky/templates), which for node pools by ssh is that
 * of Kubernetes; Slurm's has a size of disk that nothing reads.
 */
export const APPLIED_ON: Readonly<Record<IgnoredSetting, readonly string[]>> = {
  labels: ["aws", "azure", "gcp", "kubernetes", "mithril", "ssh", "verda"],
  diskSize: [
    "aws",
    "azure",
    "cudo",
    "do",
    "gcp",
    "kubernetes",
    "nebius",
    "oci",
    "paperspace",
    "primeintellect",
    "runpod",
    "scp",
    "seeweb",
    "ssh",
    "vast",
    "verda",
    "yotta",
  ],
  runOptions: ["aws", "azure", "do", "gcp", "lambda", "mithril", "nebius", "paperspace", "seeweb", "verda"],
};

/** Whether SkyPilot leaves it out there without a word. */
export function ignores(infra: string, setting: IgnoredSetting): boolean {
  const cloud = cloudOf(infra);
  return UNSUPPORTED[cloud] !== undefined && !APPLIED_ON[setting].includes(cloud);
}
