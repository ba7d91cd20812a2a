/** What the stack outputs tell about a deployment. */
import { tasks } from "../config/task";
import type { DeploymentConfig } from "../plan/config";
import type { DeployedCluster, DeploymentDetails } from "../plan/outputs";
import type { DeploymentPlan } from "../plan/types";

/** A cluster of {@link DynamoCluster.topology}. */
export type ClusterTopology = DeployedCluster;

/**
 * Who runs where.
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
 * What else has to be known to look after a deployment from elsewhere, without its configuration: where it runs, and what has to be ready
 * in it. The same for the same configuration, so that a second `up` changes nothing; no secret is in it.
 */
export type DeploymentSummary = DeploymentDetails["deployment"];

export function summaryOf(
  { target, sky }: Pick<DeploymentConfig, "target" | "sky">,
  { namespace, routerMode, task, expectedWorkers }: DeploymentPlan,
): DeploymentSummary {
  const infra = target === "sky" ? [...sky.infra] : [];
  return { target, infra, namespace, routerMode, task, workers: expectedWorkers };
}

/** How a client is let in. */
export interface ChatAccess {
  /** Whether the endpoint wants a key; it is taken from `$DYNAMO_API_KEY`, and stands in no argument. Default: false. */
  readonly asksForKey?: boolean;
  /** Digest of the public key of the certificate that the endpoint has to show. Default: what the system trusts. */
  readonly publicKeyPin?: string | undefined;
}

/** Variable of the shell from which {@link chatCommand} takes the key. Not OpenAI's own: that may hold a key for OpenAI. */
export const KEY_VARIABLE = "DYNAMO_API_KEY";

/**
 * A request of the model's task as a command that can be pasted into a POSIX shell.
 */
export function chatCommand(
  endpoint: string,
  { model, task }: Pick<DeploymentPlan, "model" | "task">,
  { asksForKey = false, publicKeyPin }: ChatAccess = {},
): string {
  const { path, body } = tasks[task];
  const content = JSON.stringify(body(model, "Say hello in one sentence.", 64));
  const key = asksForKey ? `printf 'Authorization: Bearer %s' "$${KEY_VARIABLE}" | ` : "";
  // Whoever signed the certificate and for whatever name: it must be this one (curl checks that with -k too).
  const pin = publicKeyPin === undefined ? "" : `-k --pinnedpubkey ${shellQuote(publicKeyPin)} `;
  return `${key}curl -s ${pin}${asksForKey ? "-H @- " : ""}${shellQuote(`${endpoint}/v1/${path}`)} -H 'Content-Type: application/json' -d ${shellQuote(content)}`;
}

/** The text as one word of a POSIX shell. */
function shellQuote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
