/**
 * What a deployment listens on, and what of that nobody has written down. Every socket of its processes must be a port of the plan at
 * the address that the plan gives it, or stand among the exceptions below.
 */
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename, join } from "node:path";
import type { NodePlan, ProgramPlan } from "../plan/types";

/** A socket that listens. */
export interface Listener {
  readonly pid: number;
  /** The program's name in the plan, else the command of the process. */
  readonly program: string;
  /** The whole command line. */
  readonly command: string;
  /** As text: `127.0.0.1`, `::1`, `0.0.0.0`. */
  readonly address: string;
  readonly port: number;
}

/** What the given processes listen on, from the kernel's own tables. */
export function listeners(pids: readonly number[]): Listener[] {
  return pids.flatMap((pid) => {
    const program = programOf(pid);
    const command = readOrEmpty(`/proc/${pid}/cmdline`).replaceAll("\0", " ");
    const inodes = socketsOf(pid);
    return ["tcp", "tcp6"].flatMap((table) =>
      readFileSync(`/proc/net/${table}`, "utf8")
        .split("\n")
        .slice(1)
        .map((line) => line.trim().split(/\s+/))
        .filter(
          ([, , , state, , , , , , inode]) => state === "0A" && inode !== undefined && inodes.has(inode),
        )
        .map(([, local = ""]) => {
          const [hex = "", port = ""] = local.split(":");
          return { pid, program, command, address: addressOf(hex), port: Number.parseInt(port, 16) };
        }),
    );
  });
}

function socketsOf(pid: number): ReadonlySet<string> {
  const directory = `/proc/${pid}/fd`;
  if (!existsSync(directory)) return new Set();
  return new Set(
    readdirSync(directory).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(join(directory, fd)))?.[1] ?? [];
      } catch {
        return [];
      }
    }),
  );
}

/** The kernel prints addresses as words of 32 bits, each in the machine's byte order. */
function addressOf(hex: string): string {
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) => (word.match(/../g) ?? []).reverse());
  if (bytes.length === 4) return bytes.map((byte) => Number.parseInt(byte, 16)).join(".");
  return bytes.every((byte) => byte === "00")
    ? "::"
    : bytes.join("") === `${"0".repeat(31)}1`
      ? "::1"
      : bytes.join("");
}

function programOf(pid: number): string {
  const program = /(?:^|\0)DYNAMO_SKY_PROGRAM=([^\0]*)/.exec(readOrEmpty(`/proc/${pid}/environ`))?.[1];
  return program === undefined ? readOrEmpty(`/proc/${pid}/comm`).trim() : basename(program);
}

function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return ""; // ended meanwhile
  }
}

/** A program of the plan, and the addresses that its node has. */
export interface ListenedNode {
  readonly node: NodePlan;
  /** The node's own address. */
  readonly address: string;
  readonly target: "local" | "sky";
  /** Whether it is the only one of a deployment on SkyPilot: then nobody but clients comes from elsewhere. Default: false. */
  readonly isOnly?: boolean;
  /** The machine's primary address, where that is not the one by which the cluster's nodes know it. Default: it is. */
  readonly primary?: string;
}

interface Allowed {
  readonly program: string;
  readonly address: string;
  /** Undefined: a port that the kernel chose. */
  readonly port: number | undefined;
}

/** Ports that only programs of the same node reach, although other ports of the program are the network's. */
const OWN_NODE_ONLY: readonly string[] = ["peer", "monitor", "frontendHttp", "gatewayStatus"];

/**
 * The written list. What the plan gives a port, at the node's address, or at loopback where there is no other node; the endpoint of a SkyPilot
 * cluster at all addresses, since a cloud gives the machine another address outside than inside; and:
 *
 * - local frontends take the workers' answers at ports that the kernel chooses, at both loopback addresses: Dynamo 1.4.2 binds the
 *   interface whose name it is given (`DYN_TCP_RESPONSE_STREAM_HOST: lo`), not an address;
 * - every frontend opens a request port as workers do, at its node's address and a port that the kernel chooses: with a port
 *   of its own (`DYN_TCP_RPC_PORT`) it takes in no model;
 * - Open MPI's daemons and ranks listen on ports of the plan, at all addresses: 4.1 knows no other way. Besides, the daemons and `mpirun` each
 *   have a port that the kernel chooses, for the ranks of their own node (PMIx), at a loopback address;
 * - SkyPilot's frontends take them at a port of the plan, at the primary address of the machine: the same variable wants the name of an
 *   interface, which is not known before there is a node; where there is no other node at both loopback addresses, as locally.
 *
 * So beyond its node, where SkyPilot has made it, nobody reaches etcd's peer port, NATS's monitor, frontends behind a gateway and the gateway's status.
 */
function allowedOf(
  { node, address: own, target, isOnly = false, primary = own }: ListenedNode,
  program: ProgramPlan,
): Allowed[] {
  const { name, role, ports } = program;
  const inner = target === "local" ? own : "127.0.0.1";
  const address = isOnly ? inner : own;
  const mpi = program.mpi === undefined ? [] : [{ program: name, address: "127.0.0.1", port: undefined }];
  const planned = Object.entries(ports).flatMap(([purpose, port]): Allowed[] => {
    if (OWN_NODE_ONLY.includes(purpose)) return [{ program: name, address: inner, port }];
    const isOpen = target === "sky" && node.rank === 0 && purpose === "http";
    const isEverywhere = isOpen || /^mpi\d*$/.test(purpose);
    const answers = purpose === "response" ? [isOnly ? "::1" : primary] : [];
    return [address, ...(isEverywhere ? ["0.0.0.0", "::"] : []), ...answers].map((at) => ({
      program: name,
      address: at,
      port,
    }));
  });
  const chosen = role !== "frontend" ? [] : target === "local" ? ["127.0.0.1", "::1", address] : [address];
  return [...planned, ...mpi, ...chosen.map((at) => ({ program: name, address: at, port: undefined }))];
}

/**
 * What SkyPilot and Slurm start beside the programs, at all addresses, and nobody can tell them otherwise (`docs/security.md`):
 *
 * - skylet, by which SkyPilot asks a cluster about its jobs, on the first node (`sky/skylet/skylet.py`). It asks for no credentials; SkyPilot itself
 *   comes through ssh.
 * - srun, to which a task's output goes: at ports that the kernel chooses, for the job's own steps, whose credentials munge signs.
 */
const OF_SKYPILOT: readonly ((socket: Listener) => boolean)[] = [
  ({ command, port }) => command.includes(` -m sky.skylet.skylet --port=${port} `),
  ({ program }) => program === "srun",
];

/** Sockets that are not on the list, as `program address:port`. */
export function unlisted(found: readonly Listener[], nodes: readonly ListenedNode[]): string[] {
  const allowed = nodes.flatMap((listened) =>
    listened.node.programs.flatMap((program) => allowedOf(listened, program)),
  );
  // nginx writes over its environment, by which programs are told apart.
  const nameOf = ({ program }: Listener) => (program === "nginx" ? "gateway" : program);
  const isAllowed = (socket: Listener) =>
    allowed.some(
      ({ program, address, port }) =>
        program === nameOf(socket) && address === socket.address && (port ?? socket.port) === socket.port,
    );
  const isOfSkyPilot = (socket: Listener) =>
    nodes.some(({ target }) => target === "sky") && OF_SKYPILOT.some((is) => is(socket));
  return found
    .filter((socket) => !isAllowed(socket) && !isOfSkyPilot(socket))
    .map((socket) => `${nameOf(socket)} ${socket.address}:${socket.port}`);
}

/**
 * What a real engine opens for its own processes, which no test's deployment does: seen on GPUs with torch 2.11 (its store, gloo, NCCL 2.28) or read
 * in the engines' sources. `docs/security.md` has each, by these words, and where it listens.
 */
export const OF_ENGINES: readonly { readonly what: string; readonly where: string }[] = [
  // TCPStore binds the wildcard address whatever host it is told (torch/csrc/distributed/c10d/TCPStoreLibUvBackend.cpp).
  { what: "torch's store (TCPStore)", where: "all addresses" },
  { what: "gloo", where: "loopback where a replica fits one node" },
  { what: "NCCL, all engines with several GPUs", where: "loopback where there is one node in all" },
  { what: "NCCL's own status (RAS)", where: "loopback" },
  // `PortArgs` of sglang/srt/server_args.py; `get_open_zmq_ipc_path` and `MessageQueue` of vllm.
  { what: "schedulers and groups of SGLang and vLLM (ZeroMQ)", where: "the node's address" },
  { what: "Open MPI", where: "all addresses" },
];
