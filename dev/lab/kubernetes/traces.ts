/** What the lab's Kubernetes has on this machine outside of its directory: what `down` ends, and proves. */
import { existsSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { processIds, readProc } from "../../../lib/procfs";
import {
  KUBERNETES_CGROUP,
  KUBERNETES_LAB,
  KUBERNETES_NETWORK,
  KUBERNETES_NODES,
} from "../../../toolchain/kubernetesLabLayout";
import { commandOf, labProcesses } from "../processes";
import { nodeDirectory } from "./machine";

const CGROUPS = "/sys/fs/cgroup";
const INTERFACES = "/sys/class/net";

/**
 * Where containerd puts containers of Kubernetes, each by its id, whose parent the kubelet does not name: one
 * that manages no control groups (`cgroupsPerQOS: false`) names none.
 */
const CONTAINERD_CGROUP = "k8s.io";
/** What containerd keeps of a container and of a pod, by its id, until the kubelet has removed it. */
const CONTAINERS = ["containers", "sandboxes"].map((kind) =>
  join("containerd", "io.containerd.grpc.v1.cri", kind),
);

/** Ids of its processes; those in pods are descendants of their containers' shims, or were. */
export function kubernetesProcesses(): number[] {
  return [...new Set([...labProcesses(KUBERNETES_LAB.root), ...processesInPods()])];
}

/** Those of its processes that are in a pod, by their control groups. */
export function processesInPods(): number[] {
  return processIds().filter((pid) => {
    const id = containerIn(readProc(`${pid}/cgroup`));
    return id !== undefined && isOwnContainer(id);
  });
}

/** Id of the container that `/proc/<pid>/cgroup` names, of this lab or of another Kubernetes. Pure. */
export function containerIn(cgroups: string): string | undefined {
  const path = new RegExp(`^\\d+:[^:]*:/${CONTAINERD_CGROUP}/([0-9a-f]+)(?:/|$)`, "m");
  return path.exec(cgroups)?.[1];
}

function isOwnContainer(id: string): boolean {
  const places = KUBERNETES_NODES.flatMap(({ name }) =>
    CONTAINERS.map((path) => join(nodeDirectory(name), path)),
  );
  return places.some((place) => existsSync(join(place, id)));
}

/** Directories of its control groups: one, or one of each controller (cgroup v1). */
export function controlGroups(): string[] {
  return controllers()
    .map((directory) => join(directory, KUBERNETES_CGROUP))
    .filter((path) => existsSync(path));
}

/** The roots of control groups. A link is a controller's second name. */
export function controllers(): string[] {
  if (existsSync(join(CGROUPS, "cgroup.controllers"))) return [CGROUPS];
  return readdirSync(CGROUPS, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => join(CGROUPS, name))
    .filter((path) => existsSync(join(path, "cgroup.procs")));
}

/**
 * Removes control groups that have no process; leaves the others. Containerd's may be the machine's own too,
 * which makes it anew when it needs it.
 */
export function removeControlGroups(): void {
  const ofContainerd = controllers().map((directory) => join(directory, CONTAINERD_CGROUP));
  for (const directory of [...controlGroups(), ...ofContainerd.filter((path) => existsSync(path))])
    removeTree(directory);
}

function removeTree(directory: string): void {
  const below = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  for (const { name } of below) removeTree(join(directory, name));
  try {
    rmdirSync(directory);
  } catch {
    // It is in use still, and is found by whoever looks again.
  }
}

/** Everything that is there of it, a line each; empty after `down`. */
export function kubernetesTraces(): string[] {
  const { root } = KUBERNETES_LAB;
  const { interface: link } = KUBERNETES_NETWORK;
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return [
    ...kubernetesProcesses().map((pid) => `process ${pid} ${commandOf(pid)}`),
    ...mounts.filter((line) => line.includes(`${root}/`)).map((line) => `mount ${line.split(" ")[4]}`),
    ...(existsSync(join(INTERFACES, link)) ? [`interface ${link}`] : []),
    ...controlGroups().map((path) => `control group ${path}`),
    ...(existsSync(root) ? [`directory ${root}`] : []),
  ];
}
