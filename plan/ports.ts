/**
 * Assigns ports to programs. The configuration sets the start of each range (`frontend.port`, `ports.*`);
 * each program on a node gets the next free ports of its range, so none is used twice on a node.
 */

import type { Problem, SettingPath } from "../config/problems";
import type { DeploymentConfig } from "./config";

/** Every range, with the configuration key of its start. */
const PORT_SETTINGS = {
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

const HIGHEST_PORT = 65_535;

/** The configured start of a range. */
export function firstPort(config: Pick<DeploymentConfig, "frontend" | "ports">, range: PortRange): number {
  const setting = PORT_SETTINGS[range];
  return setting[0] === "frontend" ? config.frontend[setting[1]] : config.ports[setting[1]];
}

/** Assigns the ports of one node, each only once. */
export class NodePorts {
  private readonly taken = new Set<number>();
  private readonly next = new Map<PortRange, number>();
  /** Ranges that exceeded the last valid port. */
  private readonly exhausted = new Set<PortRange>();

  constructor(private readonly config: Pick<DeploymentConfig, "frontend" | "ports">) {}

  /** Takes the next free ports that satisfy the need; returns the first. */
  take({ range, offsets }: PortNeed): number {
    let first = this.next.get(range) ?? firstPort(this.config, range);
    while (offsets.some((offset) => this.taken.has(first + offset))) first++;
    for (const offset of offsets) this.taken.add(first + offset);
    if (first + Math.max(...offsets) > HIGHEST_PORT) this.exhausted.add(range);
    this.next.set(range, first + 1);
    return first;
  }

  /** The first port of each need. */
  takeAll(needs: readonly PortNeed[]): PortsTaken {
    return Object.fromEntries(needs.map((need) => [need.range, this.take(need)]));
  }

  /** Ranges that ran out of ports. */
  problems(): Problem[] {
    return [...this.exhausted].map((range) => ({
      path: PORT_SETTINGS[range],
      message:
        `${firstPort(this.config, range)} is too high: the programs of one node need ports beyond ${HIGHEST_PORT}. ` +
        "Choose a lower one.",
    }));
  }
}

/** Names of ports in programs, if they differ from the range's. */
const PURPOSES: Readonly<Partial<Record<PortRange, string>>> = {
  etcdClient: "client",
  etcdPeer: "peer",
  etcdMetrics: "metrics",
  natsClient: "client",
  natsMonitor: "monitor",
  eventsIn: "publishers",
  eventsOut: "subscribers",
};

/** Ports of a program by purpose: `{ system: 9100, kvEvents: 5557, kvEvents1: 5558 }`. */
export function portsByPurpose(needs: readonly PortNeed[], taken: PortsTaken): Record<string, number> {
  const entries = needs.flatMap(({ range, offsets }) => {
    const purpose = PURPOSES[range] ?? range;
    const first = taken[range] ?? 0;
    return offsets.map((offset, index): [string, number] => [
      index === 0 ? purpose : `${purpose}${index}`,
      first + offset,
    ]);
  });
  return Object.fromEntries(entries);
}

/** The configuration key for a program's port: `frontend.port`; for messages about ports in use. */
export function portSetting(role: string, purpose: string): string {
  const plain = purpose.replace(/\d+$/, "");
  const owner = (range: string) => range.startsWith(role) || !(range in PURPOSES);
  const range = Object.keys(PORT_SETTINGS).find(
    (name) => owner(name) && (PURPOSES[name as PortRange] ?? name) === plain,
  );
  return range === undefined ? "ports" : PORT_SETTINGS[range as PortRange].join(".");
}
