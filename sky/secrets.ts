/** How values of secrets are passed to SkyPilot. */

import { join } from "node:path";
import { writePrivate } from "../lib/files";
import { REGISTRY_SECRETS, SECRETS_FILE } from "./setup";
import type { SkyLaunch, SkyTask } from "./spec";

/** A task ready to launch. */
export interface LaunchableTask {
  readonly task: SkyTask;
  /** Arguments of `sky launch`: the names of secrets whose values are in `env`. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** SkyPilot itself logs in with them, so it needs the values. */
const OF_SKYPILOT: readonly string[] = Object.values(REGISTRY_SECRETS);

/**
 * Passed in a file with mode 0600, copied to the nodes as one of the task's files, so that SkyPilot knows
 * none of the values. Values passed its own way (`--secret NAME`, the value in the environment) are kept in
 * plain text by SkyPilot 0.14.1: in the requests of its API server for a day (`server/requests/requests.py`);
 * in the task's script on the first node (`backends/task_codegen.py`); on Slurm in the command line of the
 * task (`--env-vars={…}` of `skylet/executor/slurm.py`), readable by every user of the node.
 *
 * @param directory Private directory that is removed after the launch.
 */
export async function withSecrets(input: SkyLaunch, directory: string): Promise<LaunchableTask> {
  const login = Object.entries(input.secrets).filter(([name]) => OF_SKYPILOT.includes(name));
  const others = Object.entries(input.secrets).filter(([name]) => !OF_SKYPILOT.includes(name));
  const told = { args: login.flatMap(([name]) => ["--secret", name]), env: Object.fromEntries(login) };
  if (others.length === 0) return { task: input.task, ...told };
  const file = join(directory, "secrets.json");
  writePrivate(file, JSON.stringify(Object.fromEntries(others)));
  const { secrets = [], file_mounts, ...rest } = input.task;
  const names = secrets.filter((name) => login.some(([known]) => known === name));
  const task: SkyTask = {
    ...rest,
    ...(names.length === 0 ? {} : { secrets: names }),
    file_mounts: { ...file_mounts, [`~/${SECRETS_FILE}`]: file },
  };
  return { task, ...told };
}
