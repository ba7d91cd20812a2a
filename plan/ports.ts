/**
 * Which port every program listens on. The configuration says where each range begins (`frontend.port`, `ports.*`); each
 * program on a node takes the next free ports of its range, so none is used twice on a node.
 */

import type { Problem, SettingPath } from "../config/problems";
import type { DeploymentConfig } from "./config";

/** Every range, and the configuration key that says where it begins. */
export const PORT_SETTINGS = {
  /** What clients connect to: the gateway's port, or the frontends' where there is none. */
  http: ["frontend", "port"],
  /** Frontends behind the gateway. */
  frontendHttp: ["ports", "frontendHttp"],
  /** Where a frontend takes the workers' answers. */
  response: ["ports", "frontendResponse"],
  etcdClient: ["ports", "etcdClient"],
  etcdPeer: ["ports", "etcdPeer"],
  natsClient: ["ports", "nats"],
  natsMonitor: ["ports", "natsMonitor"],
  /** The broker of KV events, for those who send them and for those who receive them. */
  eventsIn: ["ports", "eventsIn"],
  eventsOut: ["ports", "eventsOut"],
  /** Workers' health and metrics. */
  system: ["ports", "workerSystem"],
  /** Where workers take requests. */
  rpc: ["ports", "workerRpc"],
  /** KV events, one for each attention group. */
  kvEvents: ["ports", "kvEvents"],
  /** Where prefill workers meet decode workers. */
  bootstrap: ["ports", "bootstrap"],
  /** The engine's own server. */
  engine: ["ports", "engine"],
  /** Where the ranks of one replica meet. */
  distInit: ["ports", "distInit"],
  /** Where the launchers of one replica's ranks meet, to start and end together. */
  lockstep: ["ports", "lockstep"],
  /** Open MPI's daemons and ranks, where a replica over several nodes is an MPI world. */
  mpi: ["ports", "mpi"],
  /** Side channel of the KV transfer, one for each attention group. */
  sideChannel: ["ports", "sideChannel"],
  /** The gateway's own metrics, for its node alone. */
  gatewayStatus: ["ports", "gatewayStatus"],
  /** A node's exporter. */
  exporter: ["ports", "exporter"],
  prometheus: ["ports", "prometheus"],
} as const satisfies Readonly<Record<string, SettingPath>>;

export type PortRange = keyof typeof PORT_SETTINGS;

/** What a program is told about ports: the first of those it got from each range. */
export type PortsTaken = Readonly<Partial<Record<PortRange, number>>>;

/** What a program needs of a range. */
export interface PortNeed {
  readonly range: PortRange;
  /** Offsets from the first port; every one of these ports is the program's own. */
  readonly offsets: readonly number[];
}

/** One port of a range. */
export function onePort(range: PortRange): PortNeed {
  return { range, offsets: [0] };
}

/** Neighbouring ports of a range. */
export function neighbours(range: PortRange, count: number): PortNeed {
  return { range, offsets: Array.from({ length: count }, (_, offset) => offset) };
}

const HIGHEST_PORT = 65_535;

/** Where the configuration lets a range begin. */
export function firstPort(config: Pick<DeploymentConfig, "frontend" | "ports">, range: PortRange): number {
  const setting = PORT_SETTINGS[range];
  return setting[0] === "frontend" ? config.frontend[setting[1]] : config.ports[setting[1]];
}

/** Hands out the ports of one node: each number once. */
export class NodePorts {
  private readonly taken = new Set<number>();
  private readonly next = new Map<PortRange, number>();
  /** Ranges that ran beyond the last port there is. */
  private readonly exhausted = new Set<PortRange>();

  constructor(private readonly config: Pick<DeploymentConfig, "frontend" | "ports">) {}

  /** The first port of the next free ones that fit the need. */
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

/** Programs' names for their ports where they differ from the name of the range. */
const PURPOSES: Readonly<Partial<Record<PortRange, string>>> = {
  etcdClient: "client",
  etcdPeer: "peer",
  natsClient: "client",
  natsMonitor: "monitor",
  eventsIn: "publishers",
  eventsOut: "subscribers",
};

/** What a program listens on, by purpose: `{ system: 9100, kvEvents: 5557, kvEvents1: 5558 }`. */
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

/** The configuration key with which to move a program's port: `frontend.port`; for messages about ports in use. */
export function portSetting(role: string, purpose: string): string {
  const plain = purpose.replace(/\d+$/, "");
  const owner = (range: string) => range.startsWith(role) || !(range in PURPOSES);
  const range = Object.keys(PORT_SETTINGS).find(
    (name) => owner(name) && (PURPOSES[name as PortRange] ?? name) === plain,
  );
  return range === undefined ? "ports" : PORT_SETTINGS[range as PortRange].join(".");
}
