import { NODE_IP } from "./addresses";
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
  return config.target === "local" ? NODE_IP : "127.0.0.1";
}

/** Dynamo namespace in which frontends and workers meet; Dynamo's own default. */
export const NAMESPACE = "dynamo";
