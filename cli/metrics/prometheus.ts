/** Access to a deployment's own Prometheus, which is reachable from its node only. */
import type { DeploymentConfig } from "../../config/deployment";
import { localAddresses } from "../../plan/localAddresses";
import { firstPort } from "../../plan/ports";
import type { DeploymentPlan } from "../../plan/types";
import { deployedOf } from "../deployment/deployed";
import { readOutputs } from "../deployment/outputs";
import { skyClusters } from "../deployment/reach";
import { OperationFailed, UsageProblem } from "../pulumi/problem";

/** A configured stack. */
export interface WatchedStack {
  readonly stack: string;
  /** Directory of Pulumi.yaml. */
  readonly directory: string;
  readonly config: DeploymentConfig;
  readonly plan: DeploymentPlan;
}

/**
 * Runs work with the Prometheus of a deployment: directly on this machine, or through SkyPilot's ssh, which
 * is closed afterwards.
 *
 * @throws UsageProblem if the deployment has none; OperationFailed if its cluster is not up.
 */
export async function withPrometheus<T>(
  watched: WatchedStack,
  signal: AbortSignal,
  work: (url: string) => Promise<T>,
): Promise<T> {
  const { config, plan } = watched;
  if (!config.metrics.prometheus)
    throw new UsageProblem(
      "--prometheus is missing: the URL of a Prometheus that scrapes this deployment. It has none of its own, since metrics.prometheus is false.",
    );
  if (config.target === "sky") return throughSsh(watched, signal, work);
  const { cluster, rank } = plan.endpoint;
  const address = localAddresses(plan).get(cluster)?.[rank];
  return work(`http://${address}:${firstPort(config, "prometheus")}`);
}

async function throughSsh<T>(
  { stack, directory, config, plan }: WatchedStack,
  signal: AbortSignal,
  work: (url: string) => Promise<T>,
): Promise<T> {
  const deployed = deployedOf(await readOutputs({ stack }, directory));
  const head = deployed.topology.find(({ name }) => name === plan.endpoint.cluster)?.cluster;
  if (head === undefined)
    throw new OperationFailed(`Stack ${stack} has no cluster ${plan.endpoint.cluster}: run \`up\` first.`);
  const clusters = await skyClusters(deployed, signal);
  try {
    // Also makes SkyPilot write its ssh entries if the cluster was launched from another machine.
    const state = (await clusters.look())[head]?.status ?? "GONE";
    if (state !== "UP") throw new OperationFailed(`Cluster ${head} is not up: SkyPilot says ${state}.`);
    const port = await clusters.forwarded(head, firstPort(config, "prometheus"), signal);
    return await work(`http://127.0.0.1:${port}`);
  } finally {
    clusters.close();
  }
}
