/** etcd (who is there) and NATS (KV events), as one node runs them. */
import { NODE_DIR, NODE_IP } from "../addresses";
import type { PlanContext } from "../context";
import type { NodePorts } from "../ports";
import type { ProgramPlan, Wait } from "../types";

/** etcd and NATS write little and stop fast; this is a bound, not a time that they need. Unit: seconds. */
const STOP_SECONDS = 10;

/** A program of the control plane is the first and only one of its role. */
const ONLY_ONE = { replica: 0, rank: 0, gpus: [], secretEnv: [], env: {}, waitsFor: [] } as const;

/**
 * One etcd member on the head. It listens for clients on the node's own address, never on all of them; peers there are
 * none, but etcd always opens that port, so it gets an address that only the node itself reaches.
 * Flags: https://etcd.io/docs/v3.4/op-guide/configuration/
 */
function etcdProgram(context: PlanContext, ports: NodePorts): ProgramPlan {
  const client = ports.take("etcdClient");
  const peer = ports.take("etcdPeer");
  const clientUrl = `http://${NODE_IP}:${client}`;
  const peerUrl = `http://${ownAddress(context)}:${peer}`;
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
      // Keys are rewritten with every lease; without this the history grows until etcd refuses to write.
      ...["--auto-compaction-retention", "1"],
      ...["--logger", "zap"],
    ],
    ports: { client, peer },
    health: { kind: "http", url: `${clientUrl}/health` },
    stopSeconds: STOP_SECONDS,
  };
}

/**
 * One nats-server on the head, without JetStream: Dynamo 1.4.2 publishes KV events on core NATS.
 * Flags: https://docs.nats.io/running-a-nats-service/introduction/flags
 */
function natsProgram(ports: NodePorts): ProgramPlan {
  const client = ports.take("natsClient");
  const monitor = ports.take("natsMonitor");
  return {
    name: "nats",
    role: "nats",
    ...ONLY_ONE,
    command: ["nats-server", "--addr", NODE_IP, "--port", String(client), "--http_port", String(monitor)],
    ports: { client, monitor },
    health: { kind: "http", url: `http://${NODE_IP}:${monitor}/healthz` },
    stopSeconds: STOP_SECONDS,
  };
}

/** An address that only programs of the same node reach. Local nodes share a machine, so each has its own. */
function ownAddress(context: PlanContext): string {
  return context.config.target === "local" ? NODE_IP : "127.0.0.1";
}

/** True if a NATS server is needed: for KV events, or because requests go over it. */
export function needsNats(context: PlanContext): boolean {
  return context.facts.events === "nats" || context.config.controlPlane.requestPlane === "nats";
}

/** The control plane's programs, for the head node. */
export function controlPlanePrograms(context: PlanContext, ports: NodePorts): ProgramPlan[] {
  return [
    ...(context.facts.discovery === "etcd" ? [etcdProgram(context, ports)] : []),
    ...(needsNats(context) ? [natsProgram(ports)] : []),
  ];
}

/**
 * What every Dynamo process waits for: started before NATS it exits at once, started before etcd it falls into
 * long pauses between its tries.
 */
export function controlPlaneWaits(context: PlanContext): Wait[] {
  const { controlHost, ports, config } = context;
  const timeoutSeconds = config.timeouts.dependencySeconds;
  const etcd: Wait = {
    name: "etcd",
    probe: { kind: "http", url: `http://${controlHost}:${ports.etcdClient}/health` },
    timeoutSeconds,
  };
  const nats: Wait = {
    name: "nats",
    probe: { kind: "tcp", host: controlHost, port: ports.natsClient },
    timeoutSeconds,
  };
  return [...(context.facts.discovery === "etcd" ? [etcd] : []), ...(needsNats(context) ? [nats] : [])];
}
