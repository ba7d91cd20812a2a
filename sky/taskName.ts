/** The name under which a task runs: by it the driver knows later what a cluster runs. */
import { scryptSync } from "node:crypto";
import { parse } from "yaml";
import { digest } from "../lib/digest";
import { READ_AGAIN } from "../plan/programs/gateway";

/** `dynamo-<set-up>-<all>`: equal set-up means that it need not be repeated, equal all that nothing has to be done. */
export interface TaskName {
  readonly name: string;
  /** Digest of what prepares the nodes. */
  readonly setup: string;
}

const NAME = /^dynamo-([0-9a-f]{8})-[0-9a-f]{8}$/;

/**
 * @param task SkyPilot's YAML.
 * @param secrets Their values make another name, so that a changed one restarts the task; but for those that a running one is given
 *   (`handOver.ts`). The digest is slow to compute, since names are shown to everyone and a short secret could be guessed from a fast one.
 */
export function taskName(cluster: string, task: string, secrets: Readonly<Record<string, string>>): TaskName {
  const document: unknown = parse(task);
  const part = (key: string): unknown =>
    typeof document === "object" && document !== null
      ? (document as Record<string, unknown>)[key]
      : undefined;
  const setup = digest(JSON.stringify([part("setup"), part("file_mounts"), part("workdir")]));
  const fixed = Object.entries(secrets).filter(([name]) => !READ_AGAIN.includes(name));
  const values = fixed.toSorted(([a], [b]) => (a < b ? -1 : 1));
  const secret = values.length === 0 ? "" : scryptSync(JSON.stringify(values), cluster, 16).toString("hex");
  return { name: `dynamo-${setup}-${digest(`${task}\0${secret}`)}`, setup };
}

/** Digest of the set-up of the task that bears this name; undefined when it is not one of ours. */
export function setupOf(name: string): string | undefined {
  return NAME.exec(name)?.[1];
}
