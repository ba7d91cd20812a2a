/** How the values of secrets reach SkyPilot. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseDocument } from "yaml";
import { isSlurm } from "../plan/infra";
import { SECRETS_FILE } from "./setup";
import type { SkyLaunch } from "./spec";

/** A task that is ready to be launched. */
export interface LaunchableTask {
  readonly text: string;
  /** Arguments of `sky launch`: the names of secrets whose values are in `env`. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/**
 * By environment, from which SkyPilot takes them (`--secret NAME`). Except on Slurm: there SkyPilot 0.14 starts the task with
 * its environment in the command line (`--env-vars={…}` of `sky.skylet.executor.slurm`), for everybody on the node to read. So there
 * they go in a file with mode 0600, copied to the nodes as one of the task's files.
 *
 * @param directory Private directory that is removed after the launch.
 */
export async function withSecrets(input: SkyLaunch, directory: string): Promise<LaunchableTask> {
  const names = Object.keys(input.secrets);
  if (names.length === 0 || !input.infra.some(isSlurm)) {
    return { text: input.task, args: names.flatMap((name) => ["--secret", name]), env: input.secrets };
  }
  const file = join(directory, "secrets.json");
  await writeFile(file, JSON.stringify(input.secrets), { mode: 0o600 });
  const task = parseDocument(input.task);
  task.delete("secrets");
  task.setIn(["file_mounts", `~/${SECRETS_FILE}`], file);
  return { text: task.toString({ lineWidth: 0, indentSeq: false }), args: [], env: {} };
}
