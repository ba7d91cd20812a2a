import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { findOnPath, run } from "../lib/run";

const updateSeconds = 90;
const downloadSeconds = 120;

/** Whether packages of the Debian family are available: apt-get and dpkg, on a system installed with them. */
export async function hasApt(): Promise<boolean> {
  const release = await readFile("/etc/os-release", "utf8").catch(() => "");
  if (!/^ID(_LIKE)?=.*(debian|ubuntu)/m.test(release)) return false;
  return (await findOnPath("apt-get")) !== undefined && (await findOnPath("dpkg")) !== undefined;
}

/**
 * Unpacks a package of the system's own distribution into a directory. Installs nothing, starts no service
 * and needs no privileges: apt keeps its lists and its cache in a temporary directory. Apt checks signatures
 * and checksums.
 */
export async function unpackDebianPackage(name: string, into: string): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), "dynamo-sky-apt-"));
  const lists = join(scratch, "lists");
  const downloads = join(scratch, "downloads");
  const options = [
    ["Dir::State::lists", lists],
    ["Dir::Cache", join(scratch, "cache")],
    // Root's apt would download as the user `_apt`, which cannot write here.
    ["APT::Sandbox::User", userInfo().username],
  ].flatMap(([key, value]) => ["-o", `${key}=${value}`]);
  try {
    await mkdir(join(lists, "partial"), { recursive: true });
    await mkdir(join(scratch, "cache", "archives", "partial"), { recursive: true });
    await mkdir(downloads);
    await run("apt-get", [...options, "-qq", "update"], { timeoutSeconds: updateSeconds });
    await run("apt-get", [...options, "-qq", "download", name], {
      cwd: downloads,
      timeoutSeconds: downloadSeconds,
    });
    for (const file of await readdir(downloads)) {
      await run("dpkg", ["-x", join(downloads, file), into], { timeoutSeconds: downloadSeconds });
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
