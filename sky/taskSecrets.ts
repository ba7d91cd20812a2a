/** Which secrets a task requires, and which its nodes generate (`runtime/start.py`). Pure. */
import { CONTROL_PLANE_SECRETS } from "../plan/programs/controlPlane";
import { API_KEYS, TLS_BUNDLE } from "../plan/programs/gateway";
import { type ClusterPlan, secretsOfProgram } from "../plan/types";

/** Input that decides on a task's secrets. */
export interface SecretsInput {
  readonly cluster: ClusterPlan;
  /** Whether it is launched without this program, which provides generated secrets. Default: false. */
  readonly standalone?: boolean;
  /** Secrets that must be provided, since the node must not generate them. Default: none. */
  readonly brought?: readonly string[];
}

/**
 * The only secret needed to launch a recipe over several nodes: each node derives the passwords of etcd and
 * NATS from it. On one node they are generated at every start. `runtime/start.py` uses the same name.
 */
export const CLUSTER_SECRET = "DYNAMO_SKY_CLUSTER_SECRET";

/** Names of the secrets that a launch must provide. */
export function launchSecrets(input: SecretsInput): string[] {
  const { cluster, standalone = false } = input;
  const names = secretNames(cluster);
  if (!standalone) return names;
  const derives = cluster.nodes.length > 1 && names.some(isGenerated);
  const made = generatedAccess(input);
  const needed = names.filter((name) => !isGenerated(name) && !made.includes(name));
  return [...needed, ...(derives ? [CLUSTER_SECRET] : [])].toSorted();
}

/**
 * Names of the gateway's secrets that the first node generates if they are not provided:
 * `runtime/generated_access.py`.
 */
export function generatedAccess({ cluster, standalone = false, brought = [] }: SecretsInput): string[] {
  if (!standalone) return [];
  const names = secretNames(cluster);
  return [API_KEYS, TLS_BUNDLE].filter((name) => names.includes(name) && !brought.includes(name));
}

function isGenerated(name: string): boolean {
  return CONTROL_PLANE_SECRETS.some((generated) => generated === name);
}

/** Names of the secrets used by programs of the nodes. */
function secretNames({ nodes }: ClusterPlan): string[] {
  const names = nodes.flatMap(({ programs }) => programs.flatMap(secretsOfProgram));
  return [...new Set(names)].toSorted();
}
