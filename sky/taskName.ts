/** The name under which a task runs: by it the driver knows later what a cluster runs. */
import { scryptSync } from "node:crypto";
import type { BroughtFiles } from "../lib/broughtFiles";
import { digest } from "../lib/digest";
import { stableJson } from "../lib/stableJson";
import { READ_AGAIN } from "../plan/programs/gateway";
import type { SkyTask } from "./spec";

/** `dynamo-<set-up>-<all>`: equal set-up means that it need not be repeated, equal all that nothing has to be done. */
export interface TaskName {
  readonly name: string;
  /** Digest of what prepares the nodes. */
  readonly setup: string;
}

const NAME = /^dynamo-([0-9a-f]{8})-[0-9a-f]{8}$/;

/**
 * @param runtime Digests of the files of `runtime/`, by name.
 * @param files What the nodes are given besides; other contents are another task.
 * @param secrets Their values make another name, so that a changed one restarts the task; but for those that a running one is given
 *   (`renewSecrets.ts`). The digest is slow to compute, since names are shown to everyone and a short secret could be guessed from a fast one.
 */
export function taskName(
  cluster: string,
  task: SkyTask,
  secrets: Readonly<Record<string, string>>,
  runtime: Readonly<Record<string, string>> = {},
  files: BroughtFiles = {},
): TaskName {
  const setup = digest(stableJson([task.setup, task.file_mounts, runtime["setup.sh"]]));
  const fixed = Object.entries(secrets).filter(([name]) => !READ_AGAIN.includes(name));
  const values = fixed.toSorted(([a], [b]) => (a < b ? -1 : 1));
  const secret = values.length === 0 ? "" : scryptSync(JSON.stringify(values), cluster, 16).toString("hex");
  const brought =
    Object.keys(files).length === 0 ? [] : [Object.entries(files).map(([name, file]) => [name, file.digest])];
  return { name: `dynamo-${setup}-${digest(stableJson([task, runtime, secret, ...brought]))}`, setup };
}

/** Digest of the set-up of the task that bears this name; undefined when it is not one of ours. */
export function setupOf(name: string): string | undefined {
  return NAME.exec(name)?.[1];
}
