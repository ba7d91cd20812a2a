/** The lab's network namespace, as a script that the process which holds it runs first. Pure. */
import { KUBERNETES_LAB, KUBERNETES_NETWORK, KUBERNETES_NODES } from "../../../toolchain/kubernetesLabLayout";

/** Holds the process id of the namespace's first process. */
export const NETWORK_PID = `${KUBERNETES_LAB.run}/network.pid`;
/** The link to the internet, which slirp4netns makes: no rule on the machine, no forwarding by its kernel. */
export const INTERNET_LINK = "internet";

/**
 * Runs as the first process of a new network namespace; its argument is the id of a process on the machine's
 * own network. The machine's end of the link, and the route to the pods, end with the namespace.
 */
export function networkScript(): string {
  const { interface: link, host, control, linkPrefix, bridge, podPrefix, pods } = KUBERNETES_NETWORK;
  return [
    "#!/bin/sh",
    "set -e",
    `echo $$ > ${NETWORK_PID}.new`,
    "ip link set lo up",
    `ip link add name lab0 type veth peer name ${link} netns "$1"`,
    `ip address add ${control}/${linkPrefix} dev lab0`,
    ...KUBERNETES_NODES.map(({ address }) => `ip address add ${address}/${linkPrefix} dev lab0`),
    "ip link set lab0 up",
    "ip link add name pods type bridge",
    `ip address add ${bridge}/${podPrefix} dev pods`,
    "ip link set pods up",
    `nsenter --net="/proc/$1/ns/net" sh -c 'ip address add ${host}/${linkPrefix} dev ${link} && ip link set ${link} up && ip route add ${pods} via ${control}'`,
    "echo 1 > /proc/sys/net/ipv4/ip_forward",
    `iptables -w -t nat -A POSTROUTING -s ${pods} -o ${INTERNET_LINK} -j MASQUERADE`,
    `mv ${NETWORK_PID}.new ${NETWORK_PID}`,
    `exec ${KUBERNETES_LAB.bin}/pause`,
    "",
  ].join("\n");
}

/** A command in the namespace. */
export function inNetwork(command: readonly string[]): string[] {
  return ["sh", "-c", `exec nsenter --net="/proc/$(cat ${NETWORK_PID})/ns/net" "$@"`, "sh", ...command];
}
