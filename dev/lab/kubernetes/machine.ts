/**
 * What a node's programs see of the machine: more CPUs and memory than there are, and a `/run` and a
 * `/var/lib` of their own. All of it is mounted in a namespace of the node, and ends with its last process.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { KUBERNETES_LAB, KUBERNETES_NODE } from "../../../toolchain/kubernetesLabLayout";

const KIB_A_GIB = 1024 * 1024;

/** Directory of a node's own files. */
export function nodeDirectory(node: string): string {
  return join(KUBERNETES_LAB.nodes, node);
}

/** A link to the file system of the pods' image. */
export const IMAGE_LINK = join(KUBERNETES_LAB.etc, "image");

/** Where a node has it, to be read alone. */
export function nodeImage(node: string): string {
  return join(nodeDirectory(node), "image");
}

/** Holds the process id of the first process in the node's mount namespace. */
export function nodePid(node: string): string {
  return join(KUBERNETES_LAB.run, `${node}.pid`);
}

/** Files that the nodes see instead of the machine's, below one directory. */
export const CLAIMED = join(KUBERNETES_LAB.etc, "claimed");

/**
 * What the kubelet would set on the machine (`setupKernelTunables` in
 * pkg/kubelet/cm/container_manager_linux.go): it finds it set.
 */
const TUNABLES = {
  "vm/overcommit_memory": 1,
  "vm/panic_on_oom": 0,
  "kernel/panic": 10,
  "kernel/panic_on_oops": 1,
  "kernel/keys/root_maxkeys": 1_000_000,
  "kernel/keys/root_maxbytes": 25_000_000,
} as const;

/** The claimed files, by their path below {@link CLAIMED}. Pure. */
export function claimedFiles(meminfo: string): Record<string, string> {
  const kib = KUBERNETES_NODE.memoryGiB * KIB_A_GIB;
  const total = `MemTotal:       ${kib} kB`;
  const cpus = Array.from({ length: KUBERNETES_NODE.cpus }, (_, cpu) => cpu);
  return {
    meminfo: meminfo
      .replace(/^MemTotal:.*$/m, total)
      .replace(/^MemAvailable:.*$/m, `MemAvailable:   ${kib} kB`),
    online: `0-${KUBERNETES_NODE.cpus - 1}\n`,
    "node/node0/meminfo": `Node 0 ${total}\n`,
    "node/node0/distance": "10\n",
    ...Object.fromEntries(
      cpus.flatMap((cpu) => [
        [`node/node0/cpu${cpu}/topology/core_id`, `${cpu}\n`],
        [`node/node0/cpu${cpu}/topology/physical_package_id`, "0\n"],
      ]),
    ),
    ...Object.fromEntries(Object.entries(TUNABLES).map(([name, value]) => [`sysctl/${name}`, `${value}\n`])),
  };
}

export function writeClaimedFiles(): void {
  for (const [name, text] of Object.entries(claimedFiles(readFileSync("/proc/meminfo", "utf8")))) {
    mkdirSync(dirname(join(CLAIMED, name)), { recursive: true });
    writeFileSync(join(CLAIMED, name), text);
  }
}

/**
 * Runs as the first process in a new mount namespace: mounts, then becomes the command in its arguments.
 * Pure.
 */
export function nodeScript(node: string): string {
  const { root } = KUBERNETES_LAB;
  const own = nodeDirectory(node);
  const over = (from: string, to: string) => `mount --bind ${CLAIMED}/${from} ${to}`;
  return [
    "#!/bin/sh",
    "set -e",
    over("meminfo", "/proc/meminfo"),
    over("online", "/sys/devices/system/cpu/online"),
    // A kernel without NUMA has no such directory: there the kubelet counts the machine's own CPUs.
    `[ ! -d /sys/devices/system/node ] || ${over("node", "/sys/devices/system/node")}`,
    ...Object.keys(TUNABLES).map((name) => over(`sysctl/${name}`, `/proc/sys/${name}`)),
    // Before the link's end may be hidden by what follows.
    `mount --bind ${IMAGE_LINK} ${nodeImage(node)}`,
    `mount -o remount,bind,ro ${nodeImage(node)}`,
    `mount --bind ${own}/log /var/log`,
    "mount -t tmpfs tmpfs /run",
    "mkdir /run/lock /run/lab",
    `mount --rbind ${root} /run/lab`,
    "mount -t tmpfs tmpfs /var/lib",
    `mkdir -p ${root}`,
    `mount --move /run/lab ${root}`,
    `echo $$ > ${nodePid(node)}`,
    'exec "$@"',
    "",
  ].join("\n");
}

/** A command as the first process of a node's namespace. */
export function asNode(node: string, command: readonly string[]): string[] {
  return ["unshare", "-m", "--propagation", "private", "sh", `${nodeDirectory(node)}/node.sh`, ...command];
}

/** A command in a node's namespace that is there. */
export function inNode(node: string, command: readonly string[]): string[] {
  return ["sh", "-c", `exec nsenter --mount="/proc/$(cat ${nodePid(node)})/ns/mnt" "$@"`, "sh", ...command];
}
