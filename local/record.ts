/** How a local node is started; kept in its directory. */
import { join } from "node:path";
import { UserError } from "../lib/errors";
import type { NodeShell } from "../lib/nodes";
import { nodeDirectory, readIfThere } from "./directories";

/**
 * Start parameters of a node's supervisor; stored in the node's {@link RECORD}, so that any verb can start it
 * again.
 */
export interface NodeRecord {
  readonly address: string;
  /** Addresses of all nodes of the cluster, by rank. */
  readonly rankAddresses: readonly string[];
  readonly controlAddress: string;
  readonly pythonBin: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** The file, in the node's directory. */
export const RECORD = "node.json";

/** Undefined if the node does not exist. */
export function findNodeRecord(cluster: string, rank: number): NodeRecord | undefined {
  const text = readIfThere(join(nodeDirectory(cluster, rank), RECORD));
  return text === undefined ? undefined : JSON.parse(text);
}

/** @throws UserError if the node does not exist. */
export function readNodeRecord(cluster: string, rank: number): NodeRecord {
  const record = findNodeRecord(cluster, rank);
  if (record !== undefined) return record;
  throw new UserError(
    `Node ${rank} of the local cluster '${cluster}' does not exist any more (${join(nodeDirectory(cluster, rank), RECORD)} is missing). ` +
      "It was removed outside of Pulumi: run `pulumi refresh` and `pulumi up` to make it again.",
  );
}

/** Its agent runs with the interpreter of its supervisor. */
export function nodeShell(directory: string, { pythonBin }: Pick<NodeRecord, "pythonBin">): NodeShell {
  return { command: pythonBin, args: (words) => words, directory };
}
