/** The private directory for files passed to SkyPilot by a launch, including values of secrets. */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Names of clusters have no dot, so no prefix matches another cluster's. */
const prefixOf = (cluster: string) => `dynamo-sky.${cluster}.`;

/**
 * Creates the directory with mode 0700, and removes the one of an earlier launch: a cluster has one launch at
 * a time.
 */
export async function makeLaunchDirectory(cluster: string): Promise<string> {
  await removeLaunchDirectories(cluster);
  return mkdtemp(join(tmpdir(), prefixOf(cluster)));
}

/** Removes directories left by killed launches of a cluster. Ignores those owned by other users. */
export async function removeLaunchDirectories(cluster: string): Promise<void> {
  const directories = (await readdir(tmpdir())).filter((name) => name.startsWith(prefixOf(cluster)));
  await Promise.all(
    directories.map((name) =>
      rm(join(tmpdir(), name), { recursive: true, force: true }).catch(() => undefined),
    ),
  );
}
