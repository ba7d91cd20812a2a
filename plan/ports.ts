/**
 * Assigns ports to programs. The configuration sets the start of each range (`frontend.port`, `ports.*`);
 * each program on a node gets the next free ports of its range, so none is used twice on a node.
 */

import type { DeploymentConfig } from "../config/deployment";
import { PORT_SETTINGS, type PortNeed, type PortRange, type PortsTaken } from "../config/ports";
import type { Problem } from "../config/problems";

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
