/**
 * Checks the listening sockets of a deployment: each must be a planned port at the planned address, or be
 * listed as an exception below.
 */
import { programOf } from "../lib/processes";
import { listeningSockets, openFilesOf, readProc } from "../lib/procfs";
import type { NodePlan, ProgramPlan } from "../plan/types";
import { commandOf } from "./processes";

/** A listening socket. */
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

/** Listening sockets of the given processes, from the kernel's tables. */
export function listeners(pids: readonly number[]): Listener[] {
  const all = listeningSockets();
  return pids.flatMap((pid) => {
    const program = programOf(pid) ?? readProc(`${pid}/comm`).trim();
    const command = commandOf(pid);
    const open = openFilesOf(pid);
    return all
      .filter(({ socket }) => open.includes(socket))
      .map(({ address, port }) => ({ pid, program, command, address: addressOf(address), port }));
  });
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

/** A planned program, with the addresses of its node. */
export interface ListenedNode {
  readonly node: NodePlan;
  /** The node's own address. */
  readonly address: string;
  readonly target: "local" | "sky";
  /**
   * Whether it is the only node of a deployment on SkyPilot: then only clients connect from elsewhere.
   * Default: false.
   */
  readonly isOnly?: boolean;
  /**
   * The machine's primary address, if it differs from the node's address in the cluster. Default: the same.
   */
  readonly primary?: string;
}

interface Allowed {
  readonly program: string;
  readonly address: string;
  /** Undefined: an ephemeral port. */
  readonly port: number | undefined;
}

/** Ports reachable from the same node only, although other ports of the program are open to the network. */
const OWN_NODE_ONLY: readonly string[] = ["peer", "monitor", "frontendHttp", "gatewayStatus"];

/**
 * The list of allowed sockets. Planned ports at the node's address, or at loopback if there is no other node;
 * the endpoint of a SkyPilot cluster at all addresses, since a cloud's external address differs from the
 * internal one; and:
 *
 * - local frontends receive the workers' responses on ephemeral ports, at both loopback addresses: Dynamo
 *   1.6.1 binds the interface by name (`DYN_TCP_RESPONSE_STREAM_HOST: lo`), not an address;
 * - every frontend opens a request port like workers, at its node's address and an ephemeral port: with a
 *   configured port (`DYN_TCP_RPC_PORT`) it finds no model;
 * - Open MPI's daemons and ranks listen on planned ports, at all addresses: 4.1 does not support anything
 *   else. Besides, the daemons and `mpirun` each have an ephemeral port for the ranks of their own node
 *   (PMIx), at a loopback address;
 * - SkyPilot's frontends receive them on a planned port, at the machine's primary address: the same variable
 *   needs the name of an interface, which is unknown before there is a node; if there is no other node at
 *   both loopback addresses, as locally.
 *
 * So etcd's peer port, NATS's monitor, frontends behind a gateway and the gateway's status are not reachable
 * from outside a node created by SkyPilot.
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
 * Sockets of SkyPilot and Slurm themselves, at all addresses, which cannot be configured
 * (`docs/security.md`):
 *
 * - skylet, through which SkyPilot queries a cluster's jobs, on the first node (`sky/skylet/skylet.py`). It
 *   requires no credentials; SkyPilot itself connects through ssh.
 * - srun, which receives a task's output: on ephemeral ports, for the job's own steps, with credentials
 *   signed by munge.
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
  // nginx overwrites its environment, by which programs are identified.
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
 * Sockets of a real engine for its own processes, which no test's deployment has: observed on GPUs with torch
 * 2.11 (its store, gloo, NCCL 2.28) or read in the engines' sources. `docs/security.md` lists each with these
 * words, and its address.
 */
export const OF_ENGINES: readonly { readonly what: string; readonly where: string }[] = [
  // TCPStore binds the wildcard address regardless of its host
  // (torch/csrc/distributed/c10d/TCPStoreLibUvBackend.cpp).
  { what: "torch's store (TCPStore)", where: "all addresses" },
  { what: "gloo", where: "loopback where a replica fits one node" },
  { what: "NCCL, all engines with several GPUs", where: "loopback where there is one node in all" },
  { what: "NCCL's own status (RAS)", where: "loopback" },
  // `PortArgs` of sglang/srt/server_args.py; `get_open_zmq_ipc_path` and `MessageQueue` of vllm.
  { what: "schedulers and groups of SGLang and vLLM (ZeroMQ)", where: "the node's address" },
  { what: "Open MPI", where: "all addresses" },
];
