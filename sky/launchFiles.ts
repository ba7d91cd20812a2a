/** The private directory in which a launch hands SkyPilot its files, values of secrets among them. */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Names of clusters have no dot, so none is the beginning of another. */
const prefixOf = (cluster: string) => `dynamo-sky.${cluster}.`;

/** Makes the directory, with mode 0700. There is one launch of a cluster at a time: what an earlier one has left goes first. */
export async function makeLaunchDirectory(cluster: string): Promise<string> {
  await removeLaunchDirectories(cluster);
  return mkdtemp(join(tmpdir(), prefixOf(cluster)));
}

/** Removes what launches of a cluster have left; one does that was killed. Leaves alone what belongs to somebody else. */
export async function removeLaunchDirectories(cluster: string): Promise<void> {
  const left = (await readdir(tmpdir())).filter((name) => name.startsWith(prefixOf(cluster)));
  await Promise.all(
    left.map((name) => rm(join(tmpdir(), name), { recursive: true, force: true }).catch(() => undefined)),
  );
}
