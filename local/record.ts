/** How a local node is started; kept in its directory. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../lib/errors";
import { isMissing, nodeDirectory } from "./directories";

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

/** @throws Error if there is none. */
export function readRecord(directory: string): NodeRecord {
  return JSON.parse(readFileSync(join(directory, RECORD), "utf8"));
}

/** @throws UserError if the node does not exist. */
export function readNodeRecord(cluster: string, rank: number): NodeRecord {
  const directory = nodeDirectory(cluster, rank);
  try {
    return readRecord(directory);
  } catch (error) {
    if (!isMissing(error)) throw error;
    throw new UserError(
      `Node ${rank} of the local cluster '${cluster}' does not exist any more (${join(directory, RECORD)} is missing). ` +
        "It was removed outside of Pulumi: run `pulumi refresh` and `pulumi up` to make it again.",
    );
  }
}
