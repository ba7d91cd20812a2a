/** The text of the configuration files of the lab's Kubernetes. Pure. */
import { stringify } from "yaml";
import {
  KUBERNETES_CGROUP,
  KUBERNETES_CONTEXT,
  KUBERNETES_LAB,
  KUBERNETES_NETWORK,
  KUBERNETES_TEAM,
} from "../../../toolchain/kubernetesLabLayout";
import { nodeDirectory } from "./machine";

const { etc, bin } = KUBERNETES_LAB;
const { control, apiPort, bridge, pods, upstreamDns } = KUBERNETES_NETWORK;

export interface KubernetesNode {
  readonly name: string;
  readonly address: string;
  readonly kubeletPort: number;
  readonly healthPort: number;
}

/** Where CNI's plugins are, of Debian's package. */
const CNI_PLUGINS = "/usr/lib/cni";
export const PROXY_HEALTH_PORT = 10_256;
/** The image of each pod's first process. */
export const PAUSE_IMAGE = "docker.io/dynamo-sky/pause:1";

/** https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/ */
export function kubeconfig(user: string): string {
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      {
        name: KUBERNETES_CONTEXT,
        cluster: {
          server: `https://${control}:${apiPort}`,
          "certificate-authority": `${etc}/ca.pem`,
        },
      },
    ],
    users: [
      {
        name: user,
        user: { "client-certificate": `${etc}/${user}.pem`, "client-key": `${etc}/${user}.key` },
      },
    ],
    contexts: [
      { name: KUBERNETES_CONTEXT, context: { cluster: KUBERNETES_CONTEXT, user } },
      {
        name: KUBERNETES_TEAM,
        context: { cluster: KUBERNETES_CONTEXT, user, namespace: KUBERNETES_TEAM },
      },
    ],
    "current-context": KUBERNETES_CONTEXT,
  });
}

/**
 * https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/. Each line that differs from the
 * defaults is for two kubelets on one machine, which must not change it.
 */
export function kubeletConfig({ name, address, kubeletPort, healthPort }: KubernetesNode): string {
  const own = nodeDirectory(name);
  return stringify({
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    address,
    port: kubeletPort,
    healthzBindAddress: "127.0.0.1",
    healthzPort: healthPort,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: false },
      x509: { clientCAFile: `${etc}/ca.pem` },
    },
    authorization: { mode: "AlwaysAllow" },
    containerRuntimeEndpoint: `unix://${own}/containerd.sock`,
    cgroupDriver: "cgroupfs",
    cgroupRoot: `/${KUBERNETES_CGROUP}/${name}`,
    cgroupsPerQOS: false,
    enforceNodeAllocatable: [],
    failCgroupV1: false,
    failSwapOn: false,
    hairpinMode: "none",
    makeIPTablesUtilChains: false,
    localStorageCapacityIsolation: false,
    evictionHard: { "memory.available": "100Mi", "nodefs.available": "1Gi" },
    imageGCHighThresholdPercent: 100,
    clusterDomain: "cluster.local",
    clusterDNS: [bridge],
    resolvConf: `${etc}/resolv.conf`,
    podLogsDir: `${own}/pod-logs`,
    volumePluginDir: `${own}/volume-plugins`,
    nodeStatusUpdateFrequency: "5s",
  });
}

/**
 * https://kubernetes.io/docs/reference/config-api/kube-proxy-config.v1alpha1/. One for both nodes, which
 * share a network; it leaves the kernel's table of connections as it is, which is the machine's.
 */
export function kubeProxyConfig(node: string): string {
  return stringify({
    apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
    kind: "KubeProxyConfiguration",
    mode: "iptables",
    hostnameOverride: node,
    clientConnection: { kubeconfig: `${etc}/kube-proxy.kubeconfig` },
    clusterCIDR: pods,
    healthzBindAddress: `127.0.0.1:${PROXY_HEALTH_PORT}`,
    metricsBindAddress: "127.0.0.1:10249",
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: "0s", tcpCloseWaitTimeout: "0s" },
    // Pods answer each other on their bridge, past the rules that would turn a service's address back.
    iptables: { masqueradeAll: true, localhostNodePorts: false },
  });
}

/** containerd 1.6 and 1.7: https://github.com/containerd/containerd/blob/release/1.6/docs/cri/config.md */
export function containerdConfig(node: string): string {
  const own = nodeDirectory(node);
  return `version = 2
root = "${own}/containerd"
state = "${own}/state"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
  address = "${own}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE_IMAGE}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${CNI_PLUGINS}"
    conf_dir = "${etc}/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "${etc}/registries"
`;
}

/**
 * https://www.cni.dev/plugins/current/main/bridge/. Both nodes are on one bridge, and share the addresses.
 */
export function cniConfig(): string {
  const config = {
    cniVersion: "0.4.0",
    name: "lab",
    plugins: [
      {
        type: "bridge",
        bridge: "pods",
        isGateway: true,
        hairpinMode: true,
        ipam: {
          type: "host-local",
          ranges: [[{ subnet: pods }]],
          routes: [{ dst: "0.0.0.0/0" }],
          dataDir: `${KUBERNETES_LAB.nodes}/addresses`,
        },
      },
      { type: "portmap", capabilities: { portMappings: true } },
    ],
  };
  return `${JSON.stringify(config, undefined, 2)}\n`;
}

/** https://coredns.io/plugins/kubernetes/ */
export function corefile(): string {
  return `.:53 {
  bind ${bridge}
  errors
  kubernetes cluster.local {
    kubeconfig ${etc}/admin.kubeconfig ${KUBERNETES_CONTEXT}
  }
  forward . ${upstreamDns}
}
`;
}

/** `~/.sky/config.yaml` of its SkyPilot: the image of the lab is in no registry. */
export function skyPilotConfig(): string {
  const container = { imagePullPolicy: "IfNotPresent" };
  const contexts = [KUBERNETES_CONTEXT, KUBERNETES_TEAM];
  return stringify({
    kubernetes: { allowed_contexts: contexts, pod_config: { spec: { containers: [container] } } },
  });
}

/** A certificate for a user of the API server: its name, and the group that has its rights. */
export const CLIENTS = [
  { user: "admin", name: "dynamo-sky-lab", group: "system:masters" },
  { user: "apiserver-kubelet", name: "kube-apiserver", group: "system:masters" },
  { user: "controller-manager", name: "system:kube-controller-manager", group: undefined },
  { user: "scheduler", name: "system:kube-scheduler", group: undefined },
  { user: "kube-proxy", name: "system:kube-proxy", group: undefined },
] as const;

/** Files below the lab's directory of configurations; `sh` scripts have their own modules. */
export function configurations(nodes: readonly KubernetesNode[]): Record<string, string> {
  return {
    ...Object.fromEntries(CLIENTS.map(({ user }) => [`${user}.kubeconfig`, kubeconfig(user)])),
    ...Object.fromEntries(
      nodes.flatMap((node) => [
        [`${node.name}.kubeconfig`, kubeconfig(node.name)],
        [`${node.name}.kubelet.yaml`, kubeletConfig(node)],
        [`${node.name}.containerd.toml`, containerdConfig(node.name)],
      ]),
    ),
    ...Object.fromEntries(nodes.slice(0, 1).map(({ name }) => ["kube-proxy.yaml", kubeProxyConfig(name)])),
    "cni/10-lab.conflist": cniConfig(),
    Corefile: corefile(),
    "resolv.conf": `nameserver ${upstreamDns}\n`,
  };
}

/** Directory with Kubernetes' programs. */
export function programPath(name: string): string {
  return `${bin}/${name}`;
}
