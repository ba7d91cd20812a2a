/** How the values of secrets reach SkyPilot. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { REGISTRY_SECRETS, SECRETS_FILE } from "./setup";
import type { SkyLaunch, SkyTask } from "./spec";

/** A task that is ready to be launched. */
export interface LaunchableTask {
  readonly task: SkyTask;
  /** Arguments of `sky launch`: the names of secrets whose values are in `env`. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** SkyPilot logs in with them itself, so it has to be told. */
const OF_SKYPILOT: readonly string[] = Object.values(REGISTRY_SECRETS);

/**
 * In a file with mode 0600, copied to the nodes as one of the task's files: so SkyPilot knows none of the values. What it is told
 * by its own way (`--secret NAME`, the value in the environment) SkyPilot 0.14.1 keeps in plain text: in the requests of its API server, a day
 * long (`server/requests/requests.py`); in the task's script on the first node (`backends/task_codegen.py`); on Slurm in the
 * command line of the task (`--env-vars={…}` of `skylet/executor/slurm.py`), for everybody on the node to read.
 *
 * @param directory Private directory that is removed after the launch.
 */
export async function withSecrets(input: SkyLaunch, directory: string): Promise<LaunchableTask> {
  const login = Object.entries(input.secrets).filter(([name]) => OF_SKYPILOT.includes(name));
  const others = Object.entries(input.secrets).filter(([name]) => !OF_SKYPILOT.includes(name));
  const told = { args: login.flatMap(([name]) => ["--secret", name]), env: Object.fromEntries(login) };
  if (others.length === 0) return { task: input.task, ...told };
  const file = join(directory, "secrets.json");
  await writeFile(file, JSON.stringify(Object.fromEntries(others)), { mode: 0o600 });
  const { secrets = [], file_mounts, ...rest } = input.task;
  const names = secrets.filter((name) => login.some(([known]) => known === name));
  const task: SkyTask = {
    ...rest,
    ...(names.length === 0 ? {} : { secrets: names }),
    file_mounts: { ...file_mounts, [`~/${SECRETS_FILE}`]: file },
  };
  return { task, ...told };
}
