/** From what the user wrote to everything that the components need: plain functions, no resource is made here. */
import * as pulumi from "@pulumi/pulumi";
import { type DeploymentConfig, parseConfig } from "../plan/config";
import { type PlanFacts, plan } from "../plan/plan";
import { ConfigError } from "../plan/problems";
import type { ConfigInput } from "../plan/schema";
import type { DeploymentPlan } from "../plan/types";

/** The deployment in the shape of the configuration (`Pulumi.<stack>.yaml`), with the same defaults. */
export interface DynamoClusterArgs extends Omit<ConfigInput, "huggingFaceToken"> {
  /** Token for gated or private models. Default: none, public models only. */
  readonly huggingFaceToken?: pulumi.Input<string>;
  /**
   * Whether this machine has, or can install, etcd and NATS: decides what `controlPlane.discovery: auto` means on
   * target local. Default: true.
   */
  readonly localServices?: boolean;
  /**
   * Start of the names of this deployment's clusters. Default: project, stack and the component's name, so that several
   * deployments of a stack stay apart.
   */
  readonly clusterPrefix?: string;
}

/** A checked deployment. */
export interface Deployment {
  readonly config: DeploymentConfig;
  readonly plan: DeploymentPlan;
  /** Loopback addresses of the local nodes, by name of the cluster, by rank. */
  readonly addresses: ReadonlyMap<string, readonly string[]>;
}

/**
 * Checks and plans a deployment.
 * @throws pulumi.RunError that lists every mistake, one a line; Pulumi shows it without a stack trace.
 */
export function prepare(args: DynamoClusterArgs): Deployment {
  const { huggingFaceToken, localServices = true, clusterPrefix: _, ...written } = args;
  try {
    const config = parseConfig({
      ...written,
      ...(huggingFaceToken === undefined ? {} : { huggingFaceToken: true }),
    });
    const planned = plan(config, factsOf(config, localServices));
    return { config, plan: planned, addresses: localAddresses(planned) };
  } catch (error) {
    if (error instanceof ConfigError) throw new pulumi.RunError(error.message);
    throw error;
  }
}

/** What `auto` means here; `plan/schema/services.ts` documents it. */
function factsOf({ target, controlPlane }: DeploymentConfig, localServices: boolean): PlanFacts {
  const found = target === "sky" || localServices ? "etcd" : "file";
  const discovery = controlPlane.discovery === "auto" ? found : controlPlane.discovery;
  const carrier = discovery === "etcd" ? "nats" : "zmq";
  return { discovery, events: controlPlane.events === "auto" ? carrier : controlPlane.events };
}

/** An address of its own for each local node: 127.0.0.1 for the first of all, then counting up. */
export function localAddresses(planned: DeploymentPlan): Map<string, string[]> {
  let next = 1;
  return new Map(
    planned.clusters.map((cluster) => [cluster.name, cluster.nodes.map(() => loopbackAddress(next++))]),
  );
}

/** The n-th address of 127.0.0.0/8, from 1. A last byte of 0 or 255 is left out: some tools take it for a network's own. */
function loopbackAddress(n: number): string {
  const block = Math.floor((n - 1) / 254);
  return `127.${Math.floor(block / 256)}.${block % 256}.${((n - 1) % 254) + 1}`;
}
