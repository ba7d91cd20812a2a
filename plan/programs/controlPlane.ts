/** etcd (who is there) and NATS (KV events), as one node runs them. */
import { NODE_DIR, NODE_IP } from "../addresses";
import { ownAddress, type PlanContext } from "../context";
import { firstPort, type NodePorts, onePort, portsByPurpose } from "../ports";
import type { ProgramPlan, Wait } from "../types";

/** etcd and NATS write little and stop fast; this is a bound, not a time that they need. Unit: seconds. */
const STOP_SECONDS = 10;

/** A program of the control plane is the first and only one of its role. */
const ONLY_ONE = { replica: 0, rank: 0 } as const;
const NEEDS_NOTHING = { env: {}, secretEnv: [], gpus: [], waitsFor: [] } as const;

/**
 * One etcd member on the head. It listens for clients on the node's own address, never on all of them; peers there are
 * none, but etcd always opens that port, so it gets an address that only the node itself reaches.
 * Flags: https://etcd.io/docs/v3.4/op-guide/configuration/
 */
function etcdProgram(context: PlanContext, ports: NodePorts): ProgramPlan {
  const needs = [onePort("etcdClient"), onePort("etcdPeer")];
  const taken = ports.takeAll(needs);
  const clientUrl = `http://${NODE_IP}:${taken.etcdClient}`;
  const peerUrl = `http://${ownAddress(context)}:${taken.etcdPeer}`;
  return {
    name: "etcd",
    role: "etcd",
    ...ONLY_ONE,
    command: [
      "etcd",
      ...["--name", "etcd"],
      ...["--data-dir", `${NODE_DIR}/etcd`],
      ...["--listen-client-urls", clientUrl],
      ...["--advertise-client-urls", clientUrl],
      ...["--listen-peer-urls", peerUrl],
      ...["--initial-advertise-peer-urls", peerUrl],
      ...["--initial-cluster", `etcd=${peerUrl}`],
      // Keys are rewritten with every lease; without this the history grows until etcd refuses to write. Unit: hours.
      ...["--auto-compaction-retention", "1"],
      ...["--logger", "zap"],
    ],
    ...NEEDS_NOTHING,
    ports: portsByPurpose(needs, taken),
    health: { kind: "http", url: `${clientUrl}/health` },
    stopSeconds: STOP_SECONDS,
  };
}

/**
 * One nats-server on the head, without JetStream: Dynamo 1.4.2 publishes KV events on core NATS.
 * Flags: https://docs.nats.io/running-a-nats-service/introduction/flags
 */
function natsProgram(ports: NodePorts): ProgramPlan {
  const needs = [onePort("natsClient"), onePort("natsMonitor")];
  const taken = ports.takeAll(needs);
  return {
    name: "nats",
    role: "nats",
    ...ONLY_ONE,
    command: [
      "nats-server",
      ...["--addr", NODE_IP],
      ...["--port", String(taken.natsClient)],
      ...["--http_port", String(taken.natsMonitor)],
    ],
    ...NEEDS_NOTHING,
    ports: portsByPurpose(needs, taken),
    health: { kind: "http", url: `http://${NODE_IP}:${taken.natsMonitor}/healthz` },
    stopSeconds: STOP_SECONDS,
  };
}

/**
 * A broker for KV events in place of NATS. By themselves Dynamo's processes would open random ports on all addresses; with
 * `DYN_ZMQ_BROKER_URL` they only connect to these two.
 */
function eventsProgram({ config }: PlanContext, ports: NodePorts): ProgramPlan {
  const needs = [onePort("eventsIn"), onePort("eventsOut")];
  const taken = ports.takeAll(needs);
  return {
    name: "events",
    role: "events",
    ...ONLY_ONE,
    command: [
      "python3",
      `${NODE_DIR}/zmq_broker.py`,
      NODE_IP,
      String(taken.eventsIn),
      String(taken.eventsOut),
    ],
    ...NEEDS_NOTHING,
    ports: portsByPurpose(needs, taken),
    health: { kind: "tcp", host: NODE_IP, port: firstPort(config, "eventsOut") },
    stopSeconds: STOP_SECONDS,
  };
}

/** True if a NATS server is needed: for KV events, or because requests go over it. */
function needsNats({ config, facts }: PlanContext): boolean {
  return facts.events === "nats" || config.controlPlane.requestPlane === "nats";
}

/** The control plane's programs, for the head node. They take their ports first, so these are the configured ones. */
export function controlPlanePrograms(context: PlanContext, ports: NodePorts): ProgramPlan[] {
  return [
    ...(context.facts.discovery === "etcd" ? [etcdProgram(context, ports)] : []),
    ...(needsNats(context) ? [natsProgram(ports)] : []),
    ...(context.facts.events === "zmq" ? [eventsProgram(context, ports)] : []),
  ];
}

/** Where the control plane is reached, for the programs that need it. */
export interface ControlPlaneAddresses {
  /** Host and port; undefined where there is none. */
  readonly etcd: string | undefined;
  readonly nats: string | undefined;
  /** Where events are sent to, and where they are received, as `DYN_ZMQ_BROKER_URL` wants it. */
  readonly broker: string | undefined;
}

export function controlPlaneAddresses(context: PlanContext): ControlPlaneAddresses {
  const { config, controlHost, facts } = context;
  return {
    etcd: facts.discovery === "etcd" ? `${controlHost}:${firstPort(config, "etcdClient")}` : undefined,
    nats: needsNats(context) ? `${controlHost}:${firstPort(config, "natsClient")}` : undefined,
    broker: facts.events === "zmq" ? brokerUrl(context) : undefined,
  };
}

function brokerUrl({ config, controlHost }: PlanContext): string {
  const at = (range: "eventsIn" | "eventsOut") => `tcp://${controlHost}:${firstPort(config, range)}`;
  return `xsub=${at("eventsIn")} , xpub=${at("eventsOut")}`;
}

/**
 * What every Dynamo process waits for: started before NATS it exits at once, started before etcd it falls into
 * long pauses between its tries.
 */
export function controlPlaneWaits(context: PlanContext): Wait[] {
  const { config, controlHost } = context;
  const { etcd, nats, broker } = controlPlaneAddresses(context);
  const timeoutSeconds = config.timeouts.dependencySeconds;
  const waits: Wait[] = [];
  if (etcd !== undefined)
    waits.push({ name: "etcd", probe: { kind: "http", url: `http://${etcd}/health` }, timeoutSeconds });
  if (nats !== undefined) {
    const probe = { kind: "tcp", host: controlHost, port: firstPort(config, "natsClient") } as const;
    waits.push({ name: "nats", probe, timeoutSeconds });
  }
  if (broker !== undefined) {
    const probe = { kind: "tcp", host: controlHost, port: firstPort(config, "eventsIn") } as const;
    waits.push({ name: "the event broker", probe, timeoutSeconds });
  }
  return waits;
}
