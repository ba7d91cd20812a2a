/** SkyPilot's ssh to the nodes of a cluster, with one connection a node that later calls find again. */
import { existsSync, lstatSync, mkdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { UserError } from "../lib/errors";
import type { NodeShell } from "../lib/nodes";
import { quoted } from "../lib/shell";
import { ENVIRONMENT } from "./setup";

/** A connection from this machine. */
export interface Connection {
  /** Environment of SkyPilot. */
  readonly env: Readonly<Record<string, string>>;
  /** Directory of the control sockets, of this user alone. */
  readonly sockets: string;
  /** Time limit of the connection. A busy node may be slow to accept it. */
  readonly connectSeconds: number;
  /** How long it is kept for the next call: opening one through SkyPilot takes seconds. */
  readonly persistSeconds: number;
}

/** Arguments of ssh before the host. */
export function sshArguments(cluster: string, connection: Connection): string[] {
  const { env, sockets, connectSeconds, persistSeconds } = connection;
  const options = [
    "BatchMode=yes",
    "LogLevel=ERROR",
    `ConnectTimeout=${connectSeconds}`,
    "ServerAliveInterval=15",
    "ControlMaster=auto",
    `ControlPath=${join(sockets, "%C")}`,
    `ControlPersist=${persistSeconds}`,
  ];
  return [...sshConfig(cluster, env["HOME"]), ...options.flatMap((option) => ["-o", option])];
}

/** SkyPilot calls the nodes after the head `<cluster>-worker<rank>`. */
export function sshHost(cluster: string, rank: number): string {
  return rank === 0 ? cluster : `${cluster}-worker${rank}`;
}

export function sshShell(cluster: string, rank: number, connection: Connection): NodeShell {
  const ssh = [...sshArguments(cluster, connection), sshHost(cluster, rank)];
  return {
    command: "ssh",
    args: (words) => [...ssh, remoteCommand(words)],
    env: connection.env,
    directory: `~/${ENVIRONMENT}/node${rank}`,
    sky: { cluster, rank },
  };
}

/** Uses the interpreter installed by the set-up, or the node's own. */
function remoteCommand(words: readonly string[]): string {
  const own = `"$HOME/${ENVIRONMENT}/bin/node-python"`;
  return `python=python3; [ -x ${own} ] && python=${own}; exec "$python" ${words.map(quoted).join(" ")}`;
}

/** SkyPilot's ssh entry of a cluster. */
function entryOf(cluster: string, home = homedir()): string {
  return join(home, ".sky", "generated", "ssh", cluster);
}

/** Whether SkyPilot has written one on this machine; any question about the cluster makes it do so. */
export function hasSshEntry(cluster: string, env: Readonly<Record<string, string>>): boolean {
  return existsSync(entryOf(cluster, env["HOME"]));
}

/**
 * SkyPilot's ssh entry for the cluster if its HOME is not the user's: ssh uses the home directory of the
 * password file, regardless of HOME.
 */
export function sshConfig(cluster: string, home: string | undefined): string[] {
  if (home === undefined || home === homedir()) return [];
  if (!hasSshEntry(cluster, { HOME: home })) return [];
  const key = join(home, ".sky", "generated", "ssh-keys", `${cluster}.key`);
  const entry = entryOf(cluster, home);
  return ["-F", entry, "-i", key, ...proxyOptions(readFileSync(entry, "utf8"), home)];
}

/**
 * On Kubernetes the entry's nodes have a proxy, which is another ssh with the same key, and with the same
 * home. All nodes have the same one.
 */
function proxyOptions(entry: string, home: string): string[] {
  const proxies = new Set(
    [...entry.matchAll(/^\s*ProxyCommand\s+(.*)$/gm)].flatMap(([, proxy]) => proxy ?? []),
  );
  const [proxy = ""] = proxies;
  if (proxies.size !== 1 || !proxy.includes("~/")) return [];
  return ["-o", `ProxyCommand=${proxy.replaceAll("~/", `${home}/`)}`];
}

/** A busy node was seen to take a minute to accept ssh. */
const CONNECT_SECONDS = 120;
/** Opening a connection through SkyPilot takes seconds. */
const PERSIST_SECONDS = 30;

/** The connection that all commands of this user share. @throws UserError as {@link sharedSockets}. */
export function sharedConnection(env: Readonly<Record<string, string>>): Connection {
  return {
    env,
    sockets: sharedSockets(),
    connectSeconds: CONNECT_SECONDS,
    persistSeconds: PERSIST_SECONDS,
  };
}

/**
 * The directory of control sockets that all commands of this user share; short, as a socket's path must be.
 *
 * @throws UserError if it is another user's.
 */
function sharedSockets(): string {
  const uid = process.getuid?.() ?? 0;
  const directory = `/tmp/dynamo-sky-ssh-${uid}`;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const found = lstatSync(directory);
  if (!found.isDirectory() || found.uid !== uid || (found.mode & 0o077) !== 0)
    throw new UserError(`${directory} does not belong to this user alone: remove it, and try again.`);
  return directory;
}
