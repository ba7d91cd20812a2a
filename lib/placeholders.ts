/** Placeholders for what is not known until a node exists; `plan/types.ts` says what each stands for. */

/** Address of the cluster's rank 0. */
export const HEAD_IP = "{{HEAD_IP}}";
/** Address of the node itself. */
export const NODE_IP = "{{NODE_IP}}";
/** Address of the node with etcd and NATS, where that is in another cluster (dedicated placement). */
export const CONTROL_IP = "{{CONTROL_IP}}";
/** Reached by programs of the same node alone. */
export const LOOPBACK = "127.0.0.1";
/** The node's own directory. */
export const NODE_DIR = "{{NODE_DIR}}";
/** The node's copy of the files that the deployment brings (`files`); the one placeholder that a user may write. */
export const FILES = "{{FILES}}";
/** Where that is, relative to the node's directory; `runtime/launch.py` and `runtime/start.py` have the same. */
export const NODE_FILES = "files";
/** Directory of the models copied from buckets: the same path on all nodes (`runtime/models.py`). */
export const MODELS = "{{MODELS}}";
/** That directory's name on a node, below this program's own; as in `runtime/models.py`. */
export const NODE_MODELS = "models";
/** Path of one of a program's `files` (`plan/types.ts`); `runtime/launch.py` writes it there. */
export function programFile(program: string, name: string): string {
  return `${NODE_DIR}/run/${program}/${name}`;
}

/** Value of a secret in the node's secrets file, for one of a program's `files`. */
export function secretPlaceholder(name: string): string {
  return `{{SECRET.${name}}}`;
}

/** Names of the secrets whose values a text has placeholders for. */
export function secretsIn(text: string): string[] {
  return [...text.matchAll(/\{\{SECRET\.([A-Za-z_][A-Za-z0-9_]*)\}\}/g)].map(([, name = ""]) => name);
}

/** Uses of {@link FILES} in a text, each with the name of the file; the name is empty where none follows. */
export function filesNamedIn(text: string): string[] {
  return [...text.matchAll(/\{\{FILES\}\}(?:\/([A-Za-z0-9][\w.-]*))?/g)].map(([, name = ""]) => name);
}

/** Directory that all nodes of a local cluster share. */
export const CLUSTER_DIR = "{{CLUSTER_DIR}}";

/** All of a variable's value: the program's GPUs, as CUDA counts those of the node (`runtime/gpus.py`). */
export const OWN_GPUS = "{{GPUS}}";
/** All of a variable's value: the network interface that has the node's address. The variable is not set where none has it. */
export const NODE_INTERFACE = "{{NODE_INTERFACE}}";

/** Any of them but {@link FILES} in a text; `runtime/launch.py` replaces these, that one, and nothing else. */
export const PLACEHOLDER =
  /\{\{(HEAD_IP|CONTROL_IP|RANK_IP_[0-9]+|NODE_IP|NODE_DIR|CLUSTER_DIR|MODELS|GPUS|NODE_INTERFACE)\}\}/;

/** Address of a node of the same cluster. */
export function rankAddress(rank: number): string {
  return rank === 0 ? HEAD_IP : `{{RANK_IP_${rank}}}`;
}
