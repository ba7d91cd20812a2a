import { LOOPBACK, NODE_IP, rankAddress } from "../lib/placeholders";
import type { DeploymentConfig } from "./config";

/** What the outside has settled before planning: what `auto` became. */
export interface PlanFacts {
  /** Where Dynamo's processes find each other. */
  readonly discovery: "etcd" | "file";
  /** What carries KV events from workers to routers. */
  readonly events: "nats" | "zmq";
}

/** What every program is planned from. */
export interface PlanContext {
  readonly config: DeploymentConfig;
  readonly facts: PlanFacts;
  /** Address of the node with etcd and NATS, as a placeholder. */
  readonly controlHost: string;
}

/** An address that only programs of the same node reach. Local nodes share a machine, so each has its own. */
export function ownAddress({ config }: Pick<PlanContext, "config">): string {
  return config.target === "local" ? NODE_IP : LOOPBACK;
}

/** Whether all of a deployment is on one node that SkyPilot provisions: then nobody but clients comes from elsewhere. */
function isOneNode({ target, placement, cluster }: DeploymentConfig): boolean {
  return target === "sky" && placement === "shared" && cluster.nodes === 1;
}

/** Where a program listens for others of the deployment, and what they are told: no further than they are away. */
export function nodeAddress(config: DeploymentConfig): string {
  return isOneNode(config) ? LOOPBACK : NODE_IP;
}

/** Address of a node of the same cluster, as programs of any of them reach it. */
export function addressOf(config: DeploymentConfig, rank: number): string {
  return isOneNode(config) ? LOOPBACK : rankAddress(rank);
}

/**
 * Where metrics for a Prometheus are told. One of the deployment's own is on the same node; only for one from elsewhere
 * (`metrics.exporters`) they are told to the network.
 */
export function figuresAddress(config: DeploymentConfig): string {
  return config.metrics.exporters ? NODE_IP : nodeAddress(config);
}

/** Dynamo namespace in which frontends and workers meet; Dynamo's own default. */
export const NAMESPACE = "dynamo";
