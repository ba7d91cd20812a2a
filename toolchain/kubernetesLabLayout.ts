/** Files, addresses and names of the lab's Kubernetes. */
import { LAB_MARK } from "./labLayout";

/** There is one per machine, since it has fixed addresses and names. */
const ROOT = "/var/lib/dynamo-sky-kubernetes";

export const KUBERNETES_LAB = {
  root: ROOT,
  /** HOME of its `sky`: the user's own `~/.sky` and `~/.kube` are never used. */
  home: `${ROOT}/home`,
  /** Certificates, kubeconfigs, configurations. */
  etc: `${ROOT}/etc`,
  /** Kubernetes' programs and those that SkyPilot calls, first on its PATH. */
  bin: `${ROOT}/bin`,
  /** Output of the daemons. */
  log: `${ROOT}/log`,
  /** PID files of what holds the namespaces. */
  run: `${ROOT}/run`,
  etcd: `${ROOT}/etcd`,
  /** State of each node's containerd and kubelet. */
  nodes: `${ROOT}/nodes`,
  /** TMPDIR of its processes. */
  tmp: `${ROOT}/tmp`,
} as const;

/** Held while it is used or changed. */
export const KUBERNETES_LAB_LOCK = "/run/lock/dynamo-sky-kubernetes";

/** SkyPilot's API server, on loopback; another port than those of the Slurm lab, which may run beside it. */
export const KUBERNETES_SKYPILOT_PORT = 17_104;

/** As `LAB_SKYPILOT_USER`, and in the names of pods. */
export const KUBERNETES_SKYPILOT_USER = "1abd5ce0";

/** The context in its kubeconfig, which is the region in SkyPilot. */
export const KUBERNETES_CONTEXT = "lab";
/** Another one of the same cluster, for the namespace of that name: `up` makes none. */
export const KUBERNETES_TEAM = "lab-team";
export const KUBERNETES_LAB_INFRA = `kubernetes/${KUBERNETES_CONTEXT}`;
export const KUBERNETES_TEAM_INFRA = `kubernetes/${KUBERNETES_TEAM}`;

/**
 * Its network is a namespace of its own, with one link to the machine. All of it ends with the last process
 * in it.
 */
export const KUBERNETES_NETWORK = {
  /** The machine's end of the link. */
  interface: "dsky-kube",
  host: "10.87.0.1",
  /** The other end: the control plane. */
  control: "10.87.0.2",
  linkPrefix: 24,
  apiPort: 6443,
  /** Of the bridge that all pods are on; the name server listens there. */
  bridge: "10.88.0.1",
  pods: "10.88.0.0/16",
  podPrefix: 16,
  services: "10.96.0.0/16",
  /** The first of the services' addresses: the API server, for pods. */
  apiService: "10.96.0.1",
  /** The name server of slirp4netns, which asks the machine's. */
  upstreamDns: "10.0.2.3",
} as const;

export const KUBERNETES_NODES = [
  { name: "gpu0", address: "10.87.0.10", kubeletPort: 10_250, healthPort: 10_258 },
  { name: "gpu1", address: "10.87.0.11", kubeletPort: 10_251, healthPort: 10_268 },
] as const;

/** What each node claims; SkyPilot asks for 32 CPUs and 128 GB for a pod with eight H100. */
export const KUBERNETES_NODE = { cpus: 64, memoryGiB: 1000, accelerator: "H100", gpus: 8 } as const;

/** The control group of each node's pods is below it. */
export const KUBERNETES_CGROUP = "dynamo-sky-kubernetes";

/** The image of the lab's pods, in containerd's form; a stack names it `docker:dynamo-sky/lab:1`. */
export const KUBERNETES_IMAGE = "docker.io/dynamo-sky/lab:1";

/** Environment of its `sky`, in addition to the user's. */
export const KUBERNETES_SKY_ENVIRONMENT = {
  [LAB_MARK]: ROOT,
  HOME: KUBERNETES_LAB.home,
  TMPDIR: KUBERNETES_LAB.tmp,
  KUBECONFIG: `${KUBERNETES_LAB.etc}/admin.kubeconfig`,
  SKYPILOT_API_SERVER_LOCAL_PORT: String(KUBERNETES_SKYPILOT_PORT),
  SKYPILOT_DISABLE_USAGE_COLLECTION: "1",
} as const;
