/** The way to a deployment's own Prometheus, which only its node reaches. */
import type { DeploymentConfig } from "../../plan/config";
import { localAddresses } from "../../plan/localAddresses";
import { firstPort } from "../../plan/ports";
import type { DeploymentPlan } from "../../plan/types";
import { deployedOf } from "../deployment/deployed";
import { readOutputs } from "../deployment/outputs";
import { skyClusters } from "../deployment/reach";
import { OperationFailed, UsageProblem } from "../pulumi/problem";

/** A stack, as it is configured. */
export interface WatchedStack {
  readonly stack: string;
  /** Directory of Pulumi.yaml. */
  readonly directory: string;
  readonly config: DeploymentConfig;
  readonly plan: DeploymentPlan;
}

/**
 * Lets work ask the Prometheus of a deployment: on this machine as it is, on SkyPilot through SkyPilot's own ssh, which ends with the work.
 *
 * @throws UsageProblem when the deployment has none; OperationFailed when its cluster is not up.
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
    // This also makes SkyPilot write its ssh entries, where another machine has launched the cluster.
    const state = (await clusters.look())[head]?.status ?? "GONE";
    if (state !== "UP") throw new OperationFailed(`Cluster ${head} is not up: SkyPilot says ${state}.`);
    const port = await clusters.forwarded(head, firstPort(config, "prometheus"), signal);
    return await work(`http://127.0.0.1:${port}`);
  } finally {
    clusters.close();
  }
}
