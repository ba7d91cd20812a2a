/** Placeholders for values that are unknown until a node exists; documented in `plan/types.ts`. */

/** Address of the cluster's rank 0. */
const HEAD_IP = "{{HEAD_IP}}";
/** Address of the node itself. */
export const NODE_IP = "{{NODE_IP}}";
/** Address of the node with etcd and NATS, if it is in another cluster (dedicated placement). */
export const CONTROL_IP = "{{CONTROL_IP}}";
/** Reachable from the same node only. */
export const LOOPBACK = "127.0.0.1";
/** The node's own directory. */
export const NODE_DIR = "{{NODE_DIR}}";
/** The node's copy of the deployment's files (`files`); the only placeholder for users. */
export const FILES = "{{FILES}}";
/** Its path, relative to the node's directory; `runtime/launch.py` and `runtime/start.py` use the same. */
export const NODE_FILES = "files";
/** Directory of the models copied from buckets: the same path on all nodes (`runtime/models.py`). */
export const MODELS = "{{MODELS}}";
/** That directory's name on a node, below this program's own; as in `runtime/models.py`. */
export const NODE_MODELS = "models";
/** Path of one of a program's `files` (`plan/types.ts`), written by `runtime/launch.py`. */
export function programFile(program: string, name: string): string {
  return `${NODE_DIR}/run/${program}/${name}`;
}

/** Value of a secret from the node's secrets file, for one of a program's `files`. */
export function secretPlaceholder(name: string): string {
  return `{{SECRET.${name}}}`;
}

/** Names of the secrets with placeholders in a text. */
export function secretsIn(text: string): string[] {
  return [...text.matchAll(/\{\{SECRET\.([A-Za-z_][A-Za-z0-9_]*)\}\}/g)].map(([, name = ""]) => name);
}

/** Uses of {@link FILES} in a text, each with the name of the file; the name is empty if none follows. */
export function filesNamedIn(text: string): string[] {
  return [...text.matchAll(/\{\{FILES\}\}(?:\/([A-Za-z0-9][\w.-]*))?/g)].map(([, name = ""]) => name);
}

/** Directory shared by all nodes of a local cluster. */
export const CLUSTER_DIR = "{{CLUSTER_DIR}}";

/**
 * The whole value of a variable: the program's GPUs, as CUDA counts those of the node (`runtime/gpus.py`).
 */
export const OWN_GPUS = "{{GPUS}}";
/**
 * The whole value of a variable: the network interface with the node's address. The variable is not set if
 * there is none.
 */
export const NODE_INTERFACE = "{{NODE_INTERFACE}}";

/**
 * All of them except {@link FILES}; `runtime/launch.py` replaces these and {@link FILES}, and nothing else.
 */
export const PLACEHOLDER =
  /\{\{(HEAD_IP|CONTROL_IP|RANK_IP_[0-9]+|NODE_IP|NODE_DIR|CLUSTER_DIR|MODELS|GPUS|NODE_INTERFACE)\}\}/;

/** Address of a node of the same cluster. */
export function rankAddress(rank: number): string {
  return rank === 0 ? HEAD_IP : `{{RANK_IP_${rank}}}`;
}
