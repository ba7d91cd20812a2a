/** From what the user wrote to everything that the components need: plain functions, no resource is made here. */
import * as pulumi from "@pulumi/pulumi";
import type { DeploymentInput } from "../plan/input";
import { type PlanFacts, plan } from "../plan/plan";
import { ConfigError } from "../plan/problems";
import type { DeploymentPlan } from "../plan/types";

/** The deployment, in the shape of the configuration. */
export interface DeploymentArgs extends DeploymentInput {
  /** What this machine offers, where the configuration leaves a choice. */
  readonly facts: PlanFacts;
}

/** A checked deployment. */
export interface Deployment {
  readonly target: DeploymentInput["target"];
  readonly plan: DeploymentPlan;
  /** Loopback addresses of the local nodes, by name of the cluster, by rank. */
  readonly addresses: ReadonlyMap<string, readonly string[]>;
  /** Bound on the wait for readiness, seconds. */
  readonly readyTimeoutSeconds: number;
}

/**
 * Checks and plans a deployment.
 * @throws pulumi.RunError that lists every mistake, one a line; Pulumi shows it without a stack trace.
 */
export function prepare(args: DeploymentArgs): Deployment {
  try {
    const planned = plan(args, args.facts);
    return {
      target: args.target,
      plan: planned,
      addresses: localAddresses(planned),
      readyTimeoutSeconds: args.timeouts.readySeconds,
    };
  } catch (error) {
    if (error instanceof ConfigError) throw new pulumi.RunError(error.message);
    throw error;
  }
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
