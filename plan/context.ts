import type { DeploymentConfig } from "../config/deployment";
import { isSlurm } from "../config/infra";
import { LOOPBACK, NODE_IP, rankAddress } from "../lib/placeholders";

/** Facts determined before planning: the resolved values of `auto`, and what the operator wants. */
export interface PlanFacts {
  /** Dynamo's service discovery. */
  readonly discovery: "etcd" | "file";
  /** Event plane for KV events from workers to routers. */
  readonly events: "nats" | "zmq";
  /** Nobody asks: only what answers for the workers runs (`idle.then: workers-down`). Default: false. */
  readonly workersDown?: boolean;
}

/** Input for planning every program. */
export interface PlanContext {
  readonly config: DeploymentConfig;
  readonly facts: PlanFacts;
  /** Address of the node with etcd and NATS, as a placeholder. */
  readonly controlHost: string;
}

/** An address reachable from the same node only. Local nodes share a machine, so each has its own. */
export function ownAddress({ config }: Pick<PlanContext, "config">): string {
  return config.target === "local" ? NODE_IP : LOOPBACK;
}

/** Whether the whole deployment is on one SkyPilot node: then only clients connect from elsewhere. */
function isOneNode({ target, placement, cluster }: DeploymentConfig): boolean {
  return target === "sky" && placement === "shared" && cluster.nodes === 1;
}

/**
 * Whether Dynamo's processes, etcd and NATS talk TLS to each other. The default with several clusters is off
 * where SkyPilot may know a node by an external address, which the node's certificate cannot name.
 */
export function isEncrypted({ target, placement, cluster, controlPlane, sky }: DeploymentConfig): boolean {
  if (controlPlane.tls !== undefined) return controlPlane.tls;
  if (placement === "shared") return cluster.nodes > 1;
  return target === "local" || (sky.infra.length > 0 && sky.infra.every(isSlurm));
}

/**
 * Address on which a program listens for others of the deployment, and which they use: as narrow as possible.
 */
export function nodeAddress(config: DeploymentConfig): string {
  return isOneNode(config) ? LOOPBACK : NODE_IP;
}

/** Address of a node, as programs on any node of the same cluster reach it. */
export function addressOf(config: DeploymentConfig, rank: number): string {
  return isOneNode(config) ? LOOPBACK : rankAddress(rank);
}

/**
 * Address for metrics. The deployment's own Prometheus is on the same node; metrics are exposed to the
 * network only for an external one (`metrics.exporters`).
 */
export function metricsAddress(config: DeploymentConfig): string {
  return config.metrics.exporters ? NODE_IP : nodeAddress(config);
}
