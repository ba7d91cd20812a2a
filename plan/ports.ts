/**
 * Which port every program listens on. The one home of port numbers: the configuration's `ports` section says where each
 * range begins, and each program on a node takes the next free ones of its range.
 */

/** Where each range begins. The defaults are what the configuration takes unless it is told otherwise. */
export const DEFAULT_PORTS = {
  /** Frontends' OpenAI API: one each. 8000 is Dynamo's own default (`dynamo.frontend --http-port`). */
  http: 8000,
  /** etcd's clients; its own default, https://etcd.io/docs/v3.4/op-guide/configuration/ */
  etcdClient: 2379,
  /** etcd's peers. There is one member only, but etcd always listens. */
  etcdPeer: 2380,
  /** NATS clients; its own default, https://docs.nats.io/running-a-nats-service/configuration */
  natsClient: 4222,
  /** NATS monitoring (`/healthz`); its own default. */
  natsMonitor: 8222,
  /** Workers' status server (`/health`, `/metrics`): `DYN_SYSTEM_PORT`. */
  system: 9100,
  /** Where workers take requests: `DYN_TCP_RPC_PORT`. */
  rpc: 9300,
} as const;

export type PortRange = keyof typeof DEFAULT_PORTS;
export type PortBases = Readonly<Record<PortRange, number>>;

/** Hands out the ports of one node: each number once. */
export class NodePorts {
  private readonly taken = new Set<number>();
  private readonly next = new Map<PortRange, number>();

  constructor(private readonly bases: PortBases) {}

  /** The first of `count` neighbouring free ports of a range. */
  take(range: PortRange, count = 1): number {
    let first = this.next.get(range) ?? this.bases[range];
    for (let port = first; port < first + count; port++) {
      if (this.taken.has(port)) first = port + 1;
    }
    for (let port = first; port < first + count; port++) this.taken.add(port);
    this.next.set(range, first + count);
    return first;
  }
}
