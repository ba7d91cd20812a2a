/**
 * A stand-in for NVIDIA's images, made of the lab's own: it ends with `USER dynamo`, whose home is HOME, and
 * has no sudo.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { imageDirectory, imageFileSystem, importImage } from "../../dev/lab/kubernetes/image";
import { cacheDir } from "../../toolchain";
import { KUBERNETES_NODES } from "../../toolchain/kubernetesLabLayout";

const run = promisify(execFile);
const USER = "dynamo";
const HOME = `/home/${USER}`;
const UID = 1000;
/** Deletes a file of the layers below: https://github.com/opencontainers/image-spec/blob/main/layer.md */
const WITHOUT = "usr/bin/.wh.sudo";

/** Makes the image, and gives it to all nodes. @param tag With its registry, as containerd has it. */
export async function importUserImage(tag: string): Promise<void> {
  const base = imageDirectory(cacheDir());
  const own = mkdtempSync(join(tmpdir(), "user-image-"));
  try {
    symlinkSync(join(base, "layer.tar"), join(own, "layer.tar"));
    const layer = await packLayer(base, own);
    const config = JSON.parse(readFileSync(join(base, "config.json"), "utf8"));
    config.config.User = USER;
    config.config.Env = config.config.Env.map((entry: string) =>
      entry.startsWith("HOME=") ? `HOME=${HOME}` : entry,
    );
    config.rootfs.diff_ids.push(`sha256:${layer}`);
    config.history.push({ created_by: `USER ${USER}` });
    writeFileSync(join(own, "config.json"), JSON.stringify(config));
    const manifest = [{ Config: "config.json", RepoTags: [tag], Layers: ["layer.tar", "user.tar"] }];
    writeFileSync(join(own, "manifest.json"), JSON.stringify(manifest));
    await Promise.all(KUBERNETES_NODES.map(({ name }) => importImage(name, own)));
  } finally {
    rmSync(own, { recursive: true, force: true });
  }
}

/** The layer with the user and without sudo. @returns Its digest. */
async function packLayer(base: string, own: string): Promise<string> {
  const root = join(own, "user");
  for (const directory of ["etc", "usr/bin", HOME]) mkdirSync(join(root, directory), { recursive: true });
  chownSync(join(root, HOME), UID, UID);
  writeFileSync(join(root, WITHOUT), "");
  const added = { passwd: `${USER}:x:${UID}:${UID}::${HOME}:/bin/bash`, group: `${USER}:x:${UID}:` };
  for (const [name, line] of Object.entries(added)) {
    const there = readFileSync(join(imageFileSystem(base), "etc", name), "utf8");
    writeFileSync(join(root, "etc", name), `${there}${line}\n`);
  }
  const layer = join(own, "user.tar");
  await run("tar", ["--numeric-owner", "-C", root, "-cf", layer, "."]);
  return createHash("sha256").update(readFileSync(layer)).digest("hex");
}
