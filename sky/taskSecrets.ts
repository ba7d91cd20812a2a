/** Which secrets a task asks for, and which its nodes make up: `runtime/start.py`. Pure. */
import { CONTROL_PLANE_SECRETS } from "../plan/programs/controlPlane";
import { API_KEYS, TLS_BUNDLE } from "../plan/programs/gateway";
import { type ClusterPlan, secretsOfProgram } from "../plan/types";

/** Of a task, what decides on its secrets. */
export interface SecretsInput {
  readonly cluster: ClusterPlan;
  /** Whether it is launched without this program, which would bring generated secrets. Default: false. */
  readonly standalone?: boolean;
  /**
   * Secrets that somebody has to bring where it is, since the node must not make up its own. Default: none.
   */
  readonly brought?: readonly string[];
}

/**
 * The one secret that a recipe over several nodes is launched with, where nobody hands it generated ones:
 * each node derives the passwords of etcd and NATS from it. On one node they are made up there, anew with
 * every start. `runtime/start.py` has the same name.
 */
export const CLUSTER_SECRET = "DYNAMO_SKY_CLUSTER_SECRET";

/** Names of the secrets that a launch has to bring. */
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
 * Names of the gateway's secrets that the first node makes up where nobody brings them:
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

/** Names of the secrets that programs of the nodes want. */
function secretNames({ nodes }: ClusterPlan): string[] {
  const names = nodes.flatMap(({ programs }) => programs.flatMap(secretsOfProgram));
  return [...new Set(names)].toSorted();
}
