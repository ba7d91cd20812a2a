/** Stack outputs that describe a deployment. */

import type { DeploymentConfig } from "../config/deployment";
import { tasks } from "../config/task";
import { quoted } from "../lib/shell";
import type { DeployedCluster, DeploymentDetails } from "../plan/outputs";
import type { DeploymentPlan } from "../plan/types";

/** A cluster of {@link DynamoCluster.topology}. */
export type ClusterTopology = DeployedCluster;

/**
 * Placement of all programs.
 *
 * @param names Full names of the plan's clusters, in its order.
 */
export function topologyOf(plan: DeploymentPlan, names: readonly string[]): ClusterTopology[] {
  return plan.clusters.map((cluster, index) => ({
    name: cluster.name,
    cluster: names[index] ?? cluster.name,
    ...(cluster.accelerator === undefined ? {} : { accelerator: cluster.accelerator }),
    nodes: cluster.nodes.map(({ rank, programs }) => ({
      rank,
      programs: programs.map(({ name, role, gpus, ports }) => ({ name, role, gpus: [...gpus], ports })),
    })),
  }));
}

/**
 * Further data to operate a deployment without its configuration: where it runs, and what must be ready.
 * Depends on the configuration only, so that a second `up` changes nothing; holds no secret.
 */
export type DeploymentSummary = DeploymentDetails["deployment"];

/** The summary of a deployment: its configuration and its plan. */
export function summaryOf(
  { target, sky }: Pick<DeploymentConfig, "target" | "sky">,
  { namespace, routerMode, task, expectedWorkers }: DeploymentPlan,
): DeploymentSummary {
  const infra = target === "sky" ? [...sky.infra] : [];
  return { target, infra, namespace, routerMode, task, workers: expectedWorkers };
}

/** How a client authenticates. */
export interface ChatAccess {
  /** Whether the endpoint requires a key; read from `$DYNAMO_API_KEY`, never an argument. Default: false. */
  readonly asksForKey?: boolean;
  /** Digest of the public key of the endpoint's certificate. Default: the system's trust store. */
  readonly publicKeyPin?: string | undefined;
}

/** Shell variable with the key for {@link chatCommand}. Not OpenAI's own, which may hold a key for OpenAI. */
export const KEY_VARIABLE = "DYNAMO_API_KEY";

/** A shell command (POSIX) that sends a request of the model's task. */
export function chatCommand(
  endpoint: string,
  { model, task }: Pick<DeploymentPlan, "model" | "task">,
  { asksForKey = false, publicKeyPin }: ChatAccess = {},
): string {
  const key = asksForKey ? `printf 'Authorization: Bearer %s' "$${KEY_VARIABLE}" | ` : "";
  // Pins the public key and skips all other checks (curl checks a pin with -k too).
  const pin = publicKeyPin === undefined ? "" : `-k --pinnedpubkey ${quoted(publicKeyPin)} `;
  return `${key}curl -s ${pin}${asksForKey ? "-H @- " : ""}${requestArguments(endpoint, { model, task })}`;
}

/** Arguments of curl for a request of the model's task, without the client's authentication. */
export function requestArguments(
  endpoint: string,
  { model, task }: Pick<DeploymentPlan, "model" | "task">,
): string {
  const { path, body } = tasks[task];
  const content = JSON.stringify(body(model, "Say hello in one sentence.", 64));
  return `${quoted(`${endpoint}/v1/${path}`)} -H 'Content-Type: application/json' -d ${quoted(content)}`;
}
