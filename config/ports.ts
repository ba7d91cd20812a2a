/** The ranges of ports that a deployment uses, and what a program needs of them. */
import type { SettingPath } from "./problems";

/** Every range, with the configuration key of its start. */
export const PORT_SETTINGS = {
  /** Port for clients: the gateway's, or the frontends' if there is none. */
  http: ["frontend", "port"],
  /** Frontends behind the gateway. */
  frontendHttp: ["ports", "frontendHttp"],
  /** Workers' responses to a frontend. */
  response: ["ports", "frontendResponse"],
  etcdClient: ["ports", "etcdClient"],
  etcdPeer: ["ports", "etcdPeer"],
  /** Health and metrics, where clients need a certificate. */
  etcdMetrics: ["ports", "etcdMetrics"],
  natsClient: ["ports", "nats"],
  natsMonitor: ["ports", "natsMonitor"],
  /** Broker of KV events, for publishers and subscribers. */
  eventsIn: ["ports", "eventsIn"],
  eventsOut: ["ports", "eventsOut"],
  /** Workers' health and metrics. */
  system: ["ports", "workerSystem"],
  /** Requests to workers. */
  rpc: ["ports", "workerRpc"],
  /** KV events, one per attention group. */
  kvEvents: ["ports", "kvEvents"],
  /** What an engine tells the planner, one per attention group. */
  forwardPass: ["ports", "forwardPass"],
  /** Bootstrap server of prefill workers for decode workers. */
  bootstrap: ["ports", "bootstrap"],
  /** The engine's own server. */
  engine: ["ports", "engine"],
  /** Rendezvous of the ranks of a replica. */
  distInit: ["ports", "distInit"],
  /** Connections between the launchers of a replica's ranks, which start and end together. */
  lockstep: ["ports", "lockstep"],
  /** Open MPI's daemons and ranks, if a replica over several nodes is an MPI world. */
  mpi: ["ports", "mpi"],
  /** Side channel of the KV transfer, one per attention group. */
  sideChannel: ["ports", "sideChannel"],
  /** The gateway's own metrics, on its node only. */
  gatewayStatus: ["ports", "gatewayStatus"],
  /** A node's exporter. */
  exporter: ["ports", "exporter"],
  prometheus: ["ports", "prometheus"],
} as const satisfies Readonly<Record<string, SettingPath>>;

/** Name of a range of ports. */
export type PortRange = keyof typeof PORT_SETTINGS;

/** Ports of a program: the first one from each range. */
export type PortsTaken = Readonly<Partial<Record<PortRange, number>>>;

/** A program's need of a range. */
export interface PortNeed {
  readonly range: PortRange;
  /** Offsets from the first port; all these ports are reserved for the program. */
  readonly offsets: readonly number[];
}

/** One port of a range. */
export function onePort(range: PortRange): PortNeed {
  return { range, offsets: [0] };
}

/** Consecutive ports of a range. */
export function neighbours(range: PortRange, count: number): PortNeed {
  return { range, offsets: Array.from({ length: count }, (_, offset) => offset) };
}
