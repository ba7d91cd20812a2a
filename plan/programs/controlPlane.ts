/** etcd (discovery) and NATS (KV events) on one node. */
import { onePort } from "../../config/ports";
import { NODE_DIR, programFile, secretPlaceholder } from "../../lib/placeholders";
import { isEncrypted, nodeAddress, ownAddress, type PlanContext } from "../context";
import { firstPort, type NodePorts, portsByPurpose } from "../ports";
import type { ProgramPlan, Wait } from "../types";

/** etcd and NATS write little and stop fast; this is only a limit. Unit: seconds. */
const STOP_SECONDS = 10;

/** A program of the control plane is the only one of its role. */
const ONLY_ONE = { replica: 0, rank: 0 } as const;
const NEEDS_NOTHING = { gpus: [], waitsFor: [] } as const;

/**
 * Secrets of the control plane, in the nodes' secrets files. Those read by Dynamo's processes have Dynamo's
 * names: https://github.com/ai-dynamo/dynamo/blob/v1.6.1/lib/runtime/src/config/environment_names.rs
 */
export const ETCD_PASSWORD = "ETCD_AUTH_PASSWORD";
/** Password of etcd's administrator; only `runtime/etcd_server.py` has it, and creates the other user. */
export const ETCD_ROOT_PASSWORD = "DYNAMO_SKY_ETCD_ROOT_PASSWORD";
export const NATS_TOKEN = "NATS_AUTH_TOKEN";
/**
 * Authenticates the launchers of a replica over several nodes to each other (`runtime/peer.py`); no program
 * has it in its environment.
 */
export const LOCKSTEP_SECRET = "DYNAMO_SKY_LOCKSTEP_SECRET";
/**
 * Where nodes compute the deployment's authority from. A program that is given it finds a certificate of its
 * own in its environment instead, made by `runtime/certificates.py` before each start.
 */
export const NODES_AUTHORITY = "DYNAMO_SKY_NODES_AUTHORITY";
/** All of them: generated, for internal use only. */
export const CONTROL_PLANE_SECRETS = [
  ETCD_PASSWORD,
  ETCD_ROOT_PASSWORD,
  NATS_TOKEN,
  LOCKSTEP_SECRET,
  NODES_AUTHORITY,
] as const;

/**
 * etcd's user for Dynamo's processes, with access to their own keys only. `runtime/etcd_server.py` uses the
 * same name.
 */
export const ETCD_USER = "dynamo";

const NATS = "nats";
const NATS_CONF = "nats.conf";

/**
 * As much as Dynamo lets a request have on its own connections (`DYN_TCP_MAX_MESSAGE_SIZE`); NATS's own limit
 * is 1 MiB, which the tokens of a prompt of some 180,000 exceed.
 */
const NATS_MAX_PAYLOAD = "max_payload: 32MB";

/** Directory of a program's certificate, and its files: as in `runtime/certificates.py`. */
const tlsFile = (program: string, name: string) => programFile(program, `tls/${name}.pem`);

/**
 * One etcd member on the head. It listens for clients on one address of the node, never on all of them; there
 * are no peers, but etcd always opens that port, so it gets an address reachable from the node only.
 * With TLS it asks clients for a certificate (its environment, `runtime/certificates.py`), and has health and
 * metrics on a port of their own; else `runtime/etcd_server.py` sets up password authentication. Flags:
 * https://etcd.io/docs/v3.4/op-guide/configuration/
 */
function etcdProgram(context: PlanContext, ports: NodePorts): ProgramPlan {
  const isTls = isEncrypted(context.config);
  const needs = [onePort("etcdClient"), onePort("etcdPeer"), ...(isTls ? [onePort("etcdMetrics")] : [])];
  const taken = ports.takeAll(needs);
  const host = nodeAddress(context.config);
  const clientUrl = `${isTls ? "https" : "http"}://${host}:${taken.etcdClient}`;
  const openUrl = isTls ? `http://${host}:${taken.etcdMetrics}` : clientUrl;
  const peerUrl = `http://${ownAddress(context)}:${taken.etcdPeer}`;
  return {
    name: "etcd",
    role: "etcd",
    ...ONLY_ONE,
    command: [
      ...(isTls ? [] : ["python3", `${NODE_DIR}/etcd_server.py`]),
      "etcd",
      ...["--name", "etcd"],
      // Data in which there are users are of no use without passwords.
      ...["--data-dir", `${NODE_DIR}/${isTls ? "etcd-tls" : "etcd"}`],
      ...["--listen-client-urls", clientUrl],
      ...["--advertise-client-urls", clientUrl],
      ...(isTls ? ["--listen-metrics-urls", openUrl] : []),
      ...["--listen-peer-urls", peerUrl],
      ...["--initial-advertise-peer-urls", peerUrl],
      ...["--initial-cluster", `etcd=${peerUrl}`],
      // Keys are rewritten with every lease; without this the history grows until etcd refuses to write.
      // Unit: hours.
      ...["--auto-compaction-retention", "1"],
      ...["--logger", "zap"],
    ],
    env: {},
    secretEnv: isTls ? [NODES_AUTHORITY] : [ETCD_PASSWORD, ETCD_ROOT_PASSWORD],
    ...NEEDS_NOTHING,
    ports: portsByPurpose(needs, taken),
    health: { kind: "http", url: `${openUrl}/health` },
    stopSeconds: STOP_SECONDS,
  };
}

const NATS_TLS = `tls { cert_file: "${tlsFile(NATS, "certificate")}", key_file: "${tlsFile(NATS, "key")}", ca_file: "${tlsFile(NATS, "authority")}", verify: true }`;

/**
 * One nats-server on the head, without JetStream: Dynamo 1.6.1 publishes KV events on core NATS. Clients need
 * a token. Health and metrics need none, so they are reachable from the node only. Configuration:
 * https://docs.nats.io/running-a-nats-service/configuration
 */
function natsProgram(context: PlanContext, ports: NodePorts): ProgramPlan {
  const needs = [onePort("natsClient"), onePort("natsMonitor")];
  const taken = ports.takeAll(needs);
  const monitor = `${ownAddress(context)}:${taken.natsMonitor}`;
  const listen = `${nodeAddress(context.config)}:${taken.natsClient}`;
  const isTls = isEncrypted(context.config);
  return {
    name: NATS,
    role: "nats",
    ...ONLY_ONE,
    command: ["nats-server", "--config", programFile(NATS, NATS_CONF)],
    env: {},
    secretEnv: isTls ? [NODES_AUTHORITY] : [],
    files: {
      [NATS_CONF]: [
        `listen: "${listen}"; http: "${monitor}"; authorization { token: "${secretPlaceholder(NATS_TOKEN)}" }`,
        ...(isTls ? [NATS_TLS] : []),
        ...(context.config.controlPlane.requestPlane === "nats" ? [NATS_MAX_PAYLOAD] : []),
        "",
      ].join("\n"),
    },
    ...NEEDS_NOTHING,
    ports: portsByPurpose(needs, taken),
    health: { kind: "http", url: `http://${monitor}/healthz` },
    stopSeconds: STOP_SECONDS,
  };
}

/**
 * A broker for KV events in place of NATS. Without it Dynamo's processes would open random ports on all
 * addresses; with `DYN_ZMQ_BROKER_URL` they only connect to these two.
 */
function eventsProgram({ config }: PlanContext, ports: NodePorts): ProgramPlan {
  const needs = [onePort("eventsIn"), onePort("eventsOut")];
  const taken = ports.takeAll(needs);
  const address = nodeAddress(config);
  return {
    name: "events",
    role: "events",
    ...ONLY_ONE,
    command: [
      "python3",
      `${NODE_DIR}/zmq_broker.py`,
      address,
      String(taken.eventsIn),
      String(taken.eventsOut),
    ],
    env: {},
    secretEnv: [],
    ...NEEDS_NOTHING,
    ports: portsByPurpose(needs, taken),
    health: { kind: "tcp", host: address, port: firstPort(config, "eventsOut") },
    stopSeconds: STOP_SECONDS,
  };
}

/** Whether a NATS server is needed: for KV events, or as the request plane. */
function needsNats({ config, facts }: PlanContext): boolean {
  return facts.events === "nats" || config.controlPlane.requestPlane === "nats";
}

/**
 * The control plane's programs, for the head node. They take their ports first, so these are the configured
 * ones.
 */
export function controlPlanePrograms(context: PlanContext, ports: NodePorts): ProgramPlan[] {
  return [
    ...(context.facts.discovery === "etcd" ? [etcdProgram(context, ports)] : []),
    ...(needsNats(context) ? [natsProgram(context, ports)] : []),
    ...(context.facts.events === "zmq" ? [eventsProgram(context, ports)] : []),
  ];
}

/** Addresses of the control plane, for the programs that need it. */
export interface ControlPlaneAddresses {
  /** URL for clients; undefined if there is none. */
  readonly etcd: string | undefined;
  /** URL for clients; undefined if there is none. */
  readonly nats: string | undefined;
  /** Publisher and subscriber addresses of the broker, in the format of `DYN_ZMQ_BROKER_URL`. */
  readonly broker: string | undefined;
}

export function controlPlaneAddresses(context: PlanContext): ControlPlaneAddresses {
  const { config, controlHost, facts } = context;
  const isTls = isEncrypted(config);
  const etcd = `${isTls ? "https" : "http"}://${controlHost}:${firstPort(config, "etcdClient")}`;
  const nats = `${isTls ? "tls" : "nats"}://${controlHost}:${firstPort(config, "natsClient")}`;
  return {
    etcd: facts.discovery === "etcd" ? etcd : undefined,
    nats: needsNats(context) ? nats : undefined,
    broker: facts.events === "zmq" ? brokerUrl(context) : undefined,
  };
}

/** Secrets with which a Dynamo process authenticates. */
export function controlPlaneSecrets(context: PlanContext): string[] {
  const { etcd, nats } = controlPlaneAddresses(context);
  const isTls = isEncrypted(context.config);
  return [
    ...(isTls ? [NODES_AUTHORITY] : []),
    ...(etcd === undefined || isTls ? [] : [ETCD_PASSWORD]),
    ...(nats === undefined ? [] : [NATS_TOKEN]),
  ];
}

function brokerUrl({ config, controlHost }: PlanContext): string {
  const at = (range: "eventsIn" | "eventsOut") => `tcp://${controlHost}:${firstPort(config, range)}`;
  return `xsub=${at("eventsIn")} , xpub=${at("eventsOut")}`;
}

/**
 * Dependencies of every Dynamo process: without NATS it exits at once, without etcd it retries with long
 * pauses.
 */
export function controlPlaneWaits(context: PlanContext): Wait[] {
  const { config, controlHost } = context;
  const { etcd, nats, broker } = controlPlaneAddresses(context);
  const timeoutSeconds = config.timeouts.dependencySeconds;
  const waits: Wait[] = [];
  if (etcd !== undefined) {
    const port = firstPort(config, isEncrypted(config) ? "etcdMetrics" : "etcdClient");
    const probe = { kind: "http", url: `http://${controlHost}:${port}/health` } as const;
    waits.push({ name: "etcd", probe, timeoutSeconds });
  }
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
