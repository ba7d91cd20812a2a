/** What watches a deployment: an exporter on every node, and a Prometheus on the head. */
import { NODE_DIR, programFile } from "../addresses";
import { figuresAddress, ownAddress, type PlanContext } from "../context";
import type { Alert } from "../metrics/alerts";
import { RULES_FILE, renderPrometheus, renderRules } from "../metrics/prometheus";
import { scrapeTargets, type TargetSource } from "../metrics/targets";
import { type NodePorts, onePort, portsByPurpose } from "../ports";
import type { NodePlan, ProgramPlan } from "../types";
import { gatewayStatusUrl } from "./gateway";

/** Prometheus writes what it has in memory when it stops. Unit: seconds. */
const STOP_SECONDS = 30;

/**
 * Tells Prometheus what a node's own programs do not: `node/exporter.py`.
 * @param number Of the node, through all clusters of the deployment.
 */
export function exporterProgram(
  context: PlanContext,
  node: Pick<NodePlan, "programs">,
  number: number,
  ports: NodePorts,
): ProgramPlan {
  const needs = [onePort("exporter")];
  const taken = ports.takeAll(needs);
  const address = figuresAddress(context.config);
  const gateway = node.programs.find(({ role }) => role === "gateway");
  const status = gateway && gatewayStatusUrl(context, gateway);
  const nats = node.programs.find(({ role }) => role === "nats");
  return {
    name: `exporter-${number}`,
    role: "exporter",
    replica: number,
    rank: 0,
    command: [
      ...["python3", `${NODE_DIR}/exporter.py`, address, String(taken.exporter)],
      ...(nats === undefined ? [] : ["--nats", natsFigures(nats)]),
      ...(gateway === undefined || status === undefined
        ? []
        : ["--nginx", status, "--nginx-log", gateway.name]),
    ],
    env: {},
    secretEnv: [],
    gpus: [],
    ports: portsByPurpose(needs, taken),
    waitsFor: [],
    health: { kind: "http", url: `http://${address}:${taken.exporter}/health` },
    stopSeconds: 5,
  };
}

/** NATS tells its figures where it tells its health: https://docs.nats.io/running-a-nats-service/nats_admin/monitoring */
function natsFigures({ health }: ProgramPlan): string {
  if (health.kind !== "http") throw new TypeError("NATS tells its health at no URL");
  return health.url.replace(/\/healthz$/, "/varz");
}

/**
 * Prometheus. It asks for no password, so it listens where only its own node reaches it.
 * Flags: https://prometheus.io/docs/prometheus/latest/command-line/prometheus/
 */
export function prometheusProgram(
  context: PlanContext,
  cluster: TargetSource,
  alerts: readonly Alert[],
  ports: NodePorts,
): ProgramPlan {
  const { metrics } = context.config;
  const needs = [onePort("prometheus")];
  const taken = ports.takeAll(needs);
  const address = `${ownAddress(context)}:${taken.prometheus}`;
  const name = "prometheus";
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
  return {
    ...program,
    files: {
      [CONFIG_FILE]: renderPrometheus({ scrapeIntervalSeconds, targets }),
      [RULES_FILE]: renderRules(alerts),
    },
  };
}

const CONFIG_FILE = "prometheus.yml";

/** Where Prometheus keeps what it has seen. */
export const PROMETHEUS_DATA = `${NODE_DIR}/prometheus`;

/** The cluster with one program more on its head. */
function withProgram({ name, nodes }: TargetSource, program: ProgramPlan): TargetSource {
  const [head, ...others] = nodes;
  if (head === undefined) throw new RangeError(`cluster ${name} has no node`);
  return { name, nodes: [{ ...head, programs: [...head.programs, program] }, ...others] };
}
