/** The daemons of the lab's Kubernetes in start order, each with its readiness check. */
import { Resolver } from "node:dns/promises";
import { existsSync } from "node:fs";
import {
  KUBERNETES_LAB,
  KUBERNETES_NETWORK,
  KUBERNETES_NODE,
  KUBERNETES_NODES,
} from "../../../toolchain/kubernetesLabLayout";
import { LAB_MARK } from "../../../toolchain/labLayout";
import { KUBERNETES } from "../../../toolchain/labs";
import { ask } from "../ask";
import type { Daemon } from "../processes";
import { skyPilotServer } from "../skyPilotServer";
import { type KubernetesNode, PROXY_HEALTH_PORT, programPath } from "./files";
import { asNode, inNode, nodeDirectory } from "./machine";
import { INTERNET_LINK, inNetwork, NETWORK_PID } from "./network";

const { etc, root, tmp } = KUBERNETES_LAB;
const START_SECONDS = 60;
const DNS_MS = 2000;
const ENVIRONMENT = {
  [LAB_MARK]: root,
  TMPDIR: tmp,
  PATH: `${KUBERNETES_LAB.bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
} as const;

export function kubernetesDaemons(sky: string): Daemon[] {
  return [
    network(),
    internet(),
    etcd(),
    apiServer(),
    controllerManager(),
    scheduler(),
    coredns(),
    ...KUBERNETES_NODES.flatMap((node) => [containerd(node), kubelet(node)]),
    kubeProxy(),
    skyPilotServer(KUBERNETES, sky),
  ];
}

/** `kubectl` as the administrator, as a question to the API server. */
export function kubectl(...args: readonly string[]): readonly [string, readonly string[]] {
  return [programPath("kubectl"), ["--kubeconfig", `${etc}/admin.kubeconfig`, ...args]];
}

type Wanted = Pick<Daemon, "name" | "command" | "check"> & Partial<Daemon>;

function daemon(wanted: Wanted): Daemon {
  return { env: ENVIRONMENT, timeoutSeconds: START_SECONDS, ...wanted };
}

/** Holds the network namespace. */
function network(): Daemon {
  const { interface: link, host } = KUBERNETES_NETWORK;
  return daemon({
    name: "network",
    command: ["unshare", "--net", "sh", `${etc}/network.sh`, String(process.pid)],
    check: async () => {
      const missing = await ask("the link", "ip", ["-4", "address", "show", "dev", link], {}, has(host));
      return missing ?? (existsSync(NETWORK_PID) ? undefined : "the network's set-up");
    },
  });
}

/**
 * The way to the internet: a process, so that the machine's kernel needs no rule and forwards nothing.
 * https://github.com/rootless-containers/slirp4netns
 */
function internet(): Daemon {
  const options = ["--configure", "--mtu=1500", "--disable-host-loopback"];
  const script = `exec slirp4netns ${options.join(" ")} "$(cat ${NETWORK_PID})" ${INTERNET_LINK}`;
  const show = ["ip", "-4", "address", "show", "dev", INTERNET_LINK];
  return daemon({
    name: "internet",
    command: ["sh", "-c", script],
    after: ["network"],
    check: () => inside("the link to the internet", show, has("inet ")),
  });
}

function etcd(): Daemon {
  const url = "http://127.0.0.1:2379";
  return daemon({
    name: "etcd",
    command: inNetwork([
      programPath("etcd"),
      "--data-dir",
      KUBERNETES_LAB.etcd,
      "--listen-client-urls",
      url,
      "--advertise-client-urls",
      url,
      "--listen-peer-urls",
      "http://127.0.0.1:2380",
      "--unsafe-no-fsync",
    ]),
    after: ["network"],
    check: () => inside("etcd", ["curl", "-s", `${url}/health`], has("true")),
  });
}

function apiServer(): Daemon {
  const { control, apiPort, services } = KUBERNETES_NETWORK;
  return daemon({
    name: "kube-apiserver",
    command: inNetwork([
      programPath("kube-apiserver"),
      "--etcd-servers=http://127.0.0.1:2379",
      `--secure-port=${apiPort}`,
      `--advertise-address=${control}`,
      `--tls-cert-file=${etc}/apiserver.pem`,
      `--tls-private-key-file=${etc}/apiserver.key`,
      `--client-ca-file=${etc}/ca.pem`,
      `--kubelet-client-certificate=${etc}/apiserver-kubelet.pem`,
      `--kubelet-client-key=${etc}/apiserver-kubelet.key`,
      // Names of nodes are in no name server.
      "--kubelet-preferred-address-types=InternalIP",
      `--service-account-key-file=${etc}/service-accounts.key`,
      `--service-account-signing-key-file=${etc}/service-accounts.key`,
      "--service-account-issuer=https://kubernetes.default.svc",
      `--service-cluster-ip-range=${services}`,
      "--authorization-mode=Node,RBAC",
      "--allow-privileged=true",
    ]),
    after: ["etcd"],
    check: () => ask("the API server", ...kubectl("get", "--raw", "/readyz"), {}, has("ok")),
  });
}

function controllerManager(): Daemon {
  return daemon({
    name: "kube-controller-manager",
    command: inNetwork([
      programPath("kube-controller-manager"),
      `--kubeconfig=${etc}/controller-manager.kubeconfig`,
      "--leader-elect=false",
      "--use-service-account-credentials=true",
      `--service-account-private-key-file=${etc}/service-accounts.key`,
      `--root-ca-file=${etc}/ca.pem`,
    ]),
    after: ["kube-apiserver"],
    check: () => healthy("the controllers", "https://127.0.0.1:10257/healthz"),
  });
}

function scheduler(): Daemon {
  const config = `${etc}/scheduler.kubeconfig`;
  return daemon({
    name: "kube-scheduler",
    command: inNetwork([programPath("kube-scheduler"), `--kubeconfig=${config}`, "--leader-elect=false"]),
    after: ["kube-apiserver"],
    check: () => healthy("the scheduler", "https://127.0.0.1:10259/healthz"),
  });
}

/** SkyPilot's nodes find their head by a service's name. */
function coredns(): Daemon {
  const { bridge, apiService } = KUBERNETES_NETWORK;
  const name = "kubernetes.default.svc.cluster.local";
  return daemon({
    name: "coredns",
    command: inNetwork([programPath("coredns"), "-conf", `${etc}/Corefile`]),
    after: ["kube-apiserver"],
    check: async () => {
      const resolver = new Resolver({ timeout: DNS_MS, tries: 1 });
      resolver.setServers([bridge]);
      const addresses = await resolver.resolve4(name).catch((): string[] => []);
      return addresses.includes(apiService) ? undefined : `the name server (${name} is unknown)`;
    },
  });
}

function containerd({ name }: KubernetesNode): Daemon {
  const command = ["containerd", "--config", `${etc}/${name}.containerd.toml`];
  return daemon({
    name: `containerd-${name}`,
    command: inNetwork(asNode(name, command)),
    after: ["network"],
    check: () => ask(`containerd of ${name}`, "ctr", [...ctrOf(name), "version"], {}),
  });
}

/** Options of containerd's own client. */
export function ctrOf(node: string): string[] {
  return ["--address", `${nodeDirectory(node)}/containerd.sock`, "--namespace", "k8s.io"];
}

function kubelet({ name, address, healthPort }: KubernetesNode): Daemon {
  const ready = '{.status.conditions[?(@.type=="Ready")].status}';
  const own = nodeDirectory(name);
  return daemon({
    name: `kubelet-${name}`,
    command: inNetwork(
      inNode(name, [
        programPath("kubelet"),
        `--config=${etc}/${name}.kubelet.yaml`,
        `--kubeconfig=${etc}/${name}.kubeconfig`,
        `--hostname-override=${name}`,
        `--node-ip=${address}`,
        `--root-dir=${own}/kubelet`,
        `--cert-dir=${own}/pki`,
        // SkyPilot's own label for an accelerator.
        `--node-labels=skypilot.co/accelerator=${KUBERNETES_NODE.accelerator.toLowerCase()}`,
      ]),
    ),
    after: ["kube-apiserver", `containerd-${name}`],
    check: async () => {
      const missing = await healthy(`the kubelet of ${name}`, `http://127.0.0.1:${healthPort}/healthz`);
      const question = kubectl("get", "node", name, "-o", `jsonpath=${ready}`);
      return missing ?? (await ask(`node ${name} to be ready`, ...question, {}, has("True")));
    },
  });
}

/** Services' addresses become those of pods by its rules in the lab's network. */
function kubeProxy(): Daemon {
  const url = `http://127.0.0.1:${PROXY_HEALTH_PORT}/healthz`;
  return daemon({
    name: "kube-proxy",
    command: inNetwork([programPath("kube-proxy"), `--config=${etc}/kube-proxy.yaml`]),
    after: KUBERNETES_NODES.map(({ name }) => `kubelet-${name}`),
    check: () => inside("kube-proxy", ["curl", "-sf", "--max-time", "5", url], has("lastUpdated")),
  });
}

function healthy(what: string, url: string): Promise<string | undefined> {
  return inside(what, ["curl", "-sk", "--max-time", "5", url], has("ok"));
}

/** A question asked in the lab's network. */
function inside(
  what: string,
  command: readonly string[],
  wanted: (answer: string) => boolean,
): Promise<string | undefined> {
  const [file = "", ...args] = inNetwork(command);
  return ask(what, file, args, {}, wanted);
}

function has(part: string): (answer: string) => boolean {
  return (answer) => answer.includes(part);
}
