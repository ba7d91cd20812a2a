/** Monitoring of a deployment: an exporter on every node, and a Prometheus on the head. */
import { onePort } from "../../config/ports";
import { NODE_DIR, programFile } from "../../lib/placeholders";
import { isEncrypted, metricsAddress, ownAddress, type PlanContext } from "../context";
import type { Alert } from "../metrics/alerts";
import { RULES_FILE, renderElsewhere, renderPrometheus, renderRules } from "../metrics/prometheus";
import { nodeKey, scrapeTargets, type TargetSource } from "../metrics/targets";
import { type NodePorts, portsByPurpose } from "../ports";
import type { NodePlan, ProgramPlan } from "../types";
import { controlPlaneAddresses, ETCD_PASSWORD, ETCD_USER, NODES_AUTHORITY } from "./controlPlane";
import { gatewayStatusUrl } from "./gateway";

/** Prometheus writes its memory to disk when it stops. Unit: seconds. */
const STOP_SECONDS = 30;

/** A node with an exporter. */
export interface ExportedNode extends Pick<NodePlan, "rank" | "programs"> {
  /** Name of its cluster. */
  readonly cluster: string;
  /** Across all clusters of the deployment. */
  readonly number: number;
  /** Whether it has the control plane, and so Prometheus. */
  readonly isHead: boolean;
}

/** Exports metrics that a node's own programs do not expose: `runtime/exporter.py`. */
export function exporterProgram(context: PlanContext, node: ExportedNode, ports: NodePorts): ProgramPlan {
  const { number } = node;
  const needs = [onePort("exporter")];
  const taken = ports.takeAll(needs);
  const address = metricsAddress(context.config);
  const gateway = node.programs.find(({ role }) => role === "gateway");
  const status = gateway && gatewayStatusUrl(context, gateway);
  const nats = node.programs.find(({ role }) => role === "nats");
  const registry = registryOf(context, node);
  return {
    name: `exporter-${number}`,
    role: "exporter",
    replica: number,
    rank: 0,
    command: [
      ...["python3", `${NODE_DIR}/exporter.py`, address, String(taken.exporter)],
      ...(nats === undefined ? [] : ["--nats", natsMonitorUrl(nats)]),
      ...(gateway === undefined || status === undefined
        ? []
        : ["--nginx", status, "--nginx-log", gateway.name]),
      ...registry.flags,
    ],
    env: registry.env,
    secretEnv: registry.secretEnv,
    gpus: [],
    ports: portsByPurpose(needs, taken),
    waitsFor: [],
    health: { kind: "http", url: `http://${address}:${taken.exporter}/health` },
    stopSeconds: 5,
  };
}

/** Flag of `runtime/exporter.py` with etcd's URL; it then needs `runtime/registry.py`. */
const REGISTRY_FLAG = "--etcd";

type Registry = { readonly flags: readonly string[] } & Pick<ProgramPlan, "env" | "secretEnv">;

/**
 * With several clusters, the one with Prometheus is created first, when the addresses of the others are
 * unknown: these register them in the deployment's etcd.
 */
function registryOf(context: PlanContext, { cluster, rank, isHead }: ExportedNode): Registry {
  const { placement, metrics } = context.config;
  const { etcd } = controlPlaneAddresses(context);
  if (placement === "shared" || !metrics.prometheus || etcd === undefined)
    return { flags: [], env: {}, secretEnv: [] };
  const task = isHead
    ? ["--find", programFile(PROMETHEUS, TARGETS_FILE)]
    : ["--announce", nodeKey(cluster, rank)];
  return {
    flags: [REGISTRY_FLAG, etcd, ...task],
    ...(isEncrypted(context.config)
      ? { env: {}, secretEnv: [NODES_AUTHORITY] }
      : { env: { ETCD_AUTH_USERNAME: ETCD_USER }, secretEnv: [ETCD_PASSWORD] }),
  };
}

/**
 * NATS exposes metrics on the port of its health probe:
 * https://docs.nats.io/running-a-nats-service/nats_admin/monitoring
 */
function natsMonitorUrl({ health }: ProgramPlan): string {
  if (health.kind !== "http") throw new TypeError("NATS tells its health at no URL");
  return health.url.replace(/\/healthz$/, "/varz");
}

/** Targets of Prometheus. */
export interface Scraped {
  /** Its own cluster. */
  readonly cluster: TargetSource;
  /** Clusters created after it, whose addresses it looks up. */
  readonly others: readonly TargetSource[];
  readonly alerts: readonly Alert[];
}

/**
 * Prometheus. It has no authentication, so it listens on an address reachable from its own node only. Flags:
 * https://prometheus.io/docs/prometheus/latest/command-line/prometheus/
 */
export function prometheusProgram(
  context: PlanContext,
  { cluster, others, alerts }: Scraped,
  ports: NodePorts,
): ProgramPlan {
  const { metrics } = context.config;
  const needs = [onePort("prometheus")];
  const taken = ports.takeAll(needs);
  const address = `${ownAddress(context)}:${taken.prometheus}`;
  const name = PROMETHEUS;
  const program: ProgramPlan = {
    name,
    role: "prometheus",
    replica: 0,
    rank: 0,
    command: [
      "prometheus",
      `--config.file=${programFile(name, CONFIG_FILE)}`,
      `--web.listen-address=${address}`,
      `--storage.tsdb.path=${PROMETHEUS_DATA}`,
      `--storage.tsdb.retention.time=${metrics.retentionDays}d`,
      `--storage.tsdb.retention.size=${metrics.retentionGB}GB`,
    ],
    env: {},
    secretEnv: [],
    gpus: [],
    ports: portsByPurpose(needs, taken),
    waitsFor: [],
    health: { kind: "http", url: `http://${address}/-/ready` },
    stopSeconds: STOP_SECONDS,
  };
  const targets = scrapeTargets(withProgram(cluster, program));
  const { scrapeIntervalSeconds } = metrics;
  const remote = others.flatMap(scrapeTargets);
  const elsewhere =
    remote.length === 0 ? undefined : { targets: remote, url: `${urlOfExporter(context, cluster)}/targets/` };
  return {
    ...program,
    files: {
      [CONFIG_FILE]: renderPrometheus({ scrapeIntervalSeconds, targets, elsewhere }),
      [RULES_FILE]: renderRules(alerts),
      ...(elsewhere === undefined ? {} : { [TARGETS_FILE]: renderElsewhere(remote) }),
    },
  };
}

/** URL of the exporter on Prometheus's own node, which serves the addresses of the others. */
function urlOfExporter({ config }: PlanContext, { name, nodes }: TargetSource): string {
  const exporter = nodes[0]?.programs.find(({ role }) => role === "exporter");
  const port = exporter?.ports["exporter"];
  if (port === undefined) throw new RangeError(`the head of cluster ${name} has no exporter`);
  return `http://${metricsAddress(config)}:${port}`;
}

const PROMETHEUS = "prometheus";
const CONFIG_FILE = "prometheus.yml";
/** Planned targets on other clusters. */
const TARGETS_FILE = "targets.json";

/** Prometheus's data directory. */
const PROMETHEUS_DATA = `${NODE_DIR}/prometheus`;

/** The cluster with another program on its head. */
function withProgram({ name, nodes }: TargetSource, program: ProgramPlan): TargetSource {
  const [head, ...others] = nodes;
  if (head === undefined) throw new RangeError(`cluster ${name} has no node`);
  return { name, nodes: [{ ...head, programs: [...head.programs, program] }, ...others] };
}
