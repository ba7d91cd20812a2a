/** The name of a task, from which the driver later knows what a cluster runs. */
import { scryptSync } from "node:crypto";
import { digest } from "../lib/digest";
import { stableJson } from "../lib/stableJson";
import { READ_AGAIN } from "../plan/programs/gateway";
import type { SkyTask } from "./spec";

/**
 * `dynamo-<set-up>-<all>`: with an equal set-up digest the set-up is skipped, with an equal digest of all
 * there is nothing to do.
 */
export interface TaskName {
  readonly name: string;
  /** Digest of the set-up. */
  readonly setup: string;
}

const NAME = /^dynamo-([0-9a-f]{8})-[0-9a-f]{8}$/;

/**
 * The field of `resources` that decides which machines SkyPilot may choose, and nothing of those that it has
 * chosen: another value starts nothing anew.
 */
export const CHOICE = "max_hourly_cost";

/**
 * @param runtime Digests of the files of `runtime/`, by name.
 * @param secrets Values of secrets. A changed value changes the name, and so restarts the task, except for
 * secrets that a running program reads again (`READ_AGAIN`). The digest is slow to compute, since names are
 * public and a short secret could be guessed from a fast one.
 */
export function taskName(
  cluster: string,
  task: SkyTask,
  secrets: Readonly<Record<string, string>>,
  runtime: Readonly<Record<string, string>> = {},
): TaskName {
  const setup = digest(
    stableJson([task.setup, task.file_mounts, runtime["setup.sh"], runtime["overrides.txt"]]),
  );
  const fixed = Object.entries(secrets).filter(([name]) => !READ_AGAIN.includes(name));
  const values = fixed.toSorted(([a], [b]) => (a < b ? -1 : 1));
  const secret = values.length === 0 ? "" : scryptSync(JSON.stringify(values), cluster, 16).toString("hex");
  const { [CHOICE]: _, ...resources } = task.resources;
  const rest = { ...task, resources };
  return { name: `dynamo-${setup}-${digest(stableJson([rest, runtime, secret]))}`, setup };
}

/** Set-up digest of the task with this name; undefined if the name has another form. */
export function setupOf(name: string): string | undefined {
  return NAME.exec(name)?.[1];
}
