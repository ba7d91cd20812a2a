/** Checks that the ports of a local cluster are free, and reports which process holds one. */
import { createServer } from "node:net";
import { UserError } from "../lib/errors";
import { portHolder, processesOf, startTime } from "../lib/processes";
import { clusterDirectory } from "./directories";
import type { LocalLease } from "./spec";

interface WantedPort {
  readonly address: string;
  readonly port: number;
  readonly program: string;
  readonly purpose: string;
  readonly configKey?: string | undefined;
}

const LOOKS = 5;

/**
 * Checks every port that the cluster's programs will listen on. Ports held by the cluster's own programs are
 * fine.
 *
 * @throws UserError that lists every port in use, the process that holds it, and the configuration key for
 * another port.
 */
export async function assertPortsFree(lease: LocalLease): Promise<void> {
  const foreign = await takenPorts(lease.nodes, [lease.cluster]);
  if (foreign.length === 0) return;
  throw new UserError(
    [`The local cluster '${lease.cluster}' cannot start:`, ...foreign.map((text) => `  ${text}`)].join("\n"),
  );
}

/**
 * The nodes' ports that are in use, each with the process that holds it and the configuration key for another
 * port.
 *
 * @param own Full names of this deployment's clusters, whose programs may hold them.
 * @param looks At most, while the holder of one cannot be seen: it may be another user's, or have ended.
 */
export async function takenPorts(
  nodes: LocalLease["nodes"],
  own: readonly string[],
  looks = LOOKS,
): Promise<string[]> {
  const wanted = nodes.flatMap((node) => node.ports.map((port) => ({ ...port, address: nodeAddress(node) })));
  const problems = await Promise.all(wanted.map((port) => problemWith(port)));
  const found = problems.flatMap((problem) => problem ?? []);
  if (found.length === 0) return [];
  const pids = own.flatMap((cluster) => processesOf(clusterDirectory(cluster)).map(({ pid }) => pid));
  // One that has ended since it was met may have been the deployment's own, which is just restarted.
  const hasEnded = (holder: number | undefined) => holder === undefined || startTime(holder) === undefined;
  if (looks > 1 && found.some(({ holder }) => hasEnded(holder))) return takenPorts(nodes, own, looks - 1);
  return found.flatMap(({ text, holder }) => (holder === undefined || !pids.includes(holder) ? [text] : []));
}

/** The address of a local node: the configured one, else 127.0.0.(1 + rank). */
export function nodeAddress(node: { readonly rank: number; readonly address?: string | undefined }): string {
  return node.address ?? `127.0.0.${1 + node.rank}`;
}

async function problemWith(wanted: WantedPort): Promise<{ text: string; holder?: number } | undefined> {
  const { address, port, program, purpose, configKey } = wanted;
  const error = await tryToListen(address, port);
  if (error === undefined) return undefined;
  const what = `port ${port} of ${address} (${program}, ${purpose})`;
  if (error === "EADDRNOTAVAIL") {
    const remedy =
      "On macOS only 127.0.0.1 exists: use a deployment of one node, or `sudo ifconfig lo0 alias <address>`.";
    return { text: `${what}: this machine does not have the address ${address}. ${remedy}` };
  }
  if (error === "EACCES") return { text: `${what}: this user may not listen on it. ${remedyOf(configKey)}` };
  const holder = portHolder(address, port);
  const who = holder === undefined ? "another process" : `process ${holder.pid} (${holder.command})`;
  return {
    text: `${what} is taken by ${who}. Stop it, or ${decapitalise(remedyOf(configKey))}`,
    ...(holder === undefined ? {} : { holder: holder.pid }),
  };
}

function remedyOf(configKey: string | undefined): string {
  return configKey === undefined
    ? "Choose another port in the configuration."
    : `Choose another with \`pulumi config set --path dynamo-sky:${configKey} <port>\`.`;
}

function decapitalise(text: string): string {
  return `${text.charAt(0).toLowerCase()}${text.slice(1)}`;
}

function tryToListen(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}
