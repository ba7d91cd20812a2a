/**
 * The images of the lab's pods, made on this machine: it has no registry. The file system of the pods' own is
 * 1.5 GB in 46,000 files, which would be copied to each node at each start and deleted at each end. So it
 * stays in the cache, and nodes mount it where containerd has unpacked the image's one layer, which is empty.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, existsSync, readFileSync } from "node:fs";
import { chmod, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { VERSIONS } from "../../../config/versions";
import { UserError } from "../../../lib/errors";
import { run } from "../../../lib/run";
import { installDirectory, type Progress, withHeartbeat, withLock } from "../../../toolchain/install";
import { requirementsFile } from "../../../toolchain/python";
import { ctrOf } from "./daemons";
import { inNode, nodeDirectory, nodeImage } from "./machine";

const SCRIPT = join(__dirname, "image.sh");
/** Two minutes with a near mirror. */
const MAKE_SECONDS = 1800;
const IMPORT_SECONDS = 600;
/** The file in the layer by which its place on a node is found. */
const MARK = ".dynamo-sky-image";

/** What the image is made of, besides the distribution. */
export interface ImageParts {
  readonly cache: string;
  readonly uv: string;
  readonly uvCache: string;
  /** The hub's cache with the tokenizer of the lab's model. */
  readonly models: string;
}

/** Directory of the pods' image. */
export function imageDirectory(cache: string): string {
  return join(cache, imageName());
}

/** The file system of the pods, in the image's directory. */
export function imageFileSystem(directory: string): string {
  return join(directory, "rootfs");
}

/** Another list of packages makes another one. */
function imageName(): string {
  const parts = [SCRIPT, requirementsFile()].map((path) => readFileSync(path, "utf8"));
  const hash = createHash("sha256")
    .update([...parts, VERSIONS.skypilot].join("\0"))
    .digest("hex");
  return `kubernetes-pods-${hash.slice(0, 12)}`;
}

/**
 * Makes the pods' image unless it is there. @returns Its directory: in the form of `docker save` with an
 * empty layer, and the file system.
 */
export async function ensureImage(parts: ImageParts, tag: string, onProgress: Progress): Promise<string> {
  const { cache } = parts;
  const name = imageName();
  const directory = imageDirectory(cache);
  if (existsSync(directory)) return directory;
  const lock = { purpose: "making the image of the lab's pods", waitSeconds: MAKE_SECONDS, onProgress };
  return withLock(join(cache, "locks", name), lock, async () => {
    if (existsSync(directory)) return directory;
    const { suite, mirror, components } = await distribution();
    onProgress(
      `making the image of the lab's pods in ${directory}: ${suite} from ${mirror} by debootstrap, Dynamo ${VERSIONS.dynamo} and SkyPilot ${VERSIONS.skypilot} from PyPI (2 GB)`,
    );
    return installDirectory(cache, name, async (temporary) => {
      // It has programs that run as their owner.
      await chmod(temporary, 0o700);
      const rootfs = imageFileSystem(temporary);
      const words = [rootfs, suite, mirror, components, parts.uv, parts.uvCache, requirementsFile()];
      const args = [
        "-m",
        "--propagation",
        "private",
        "bash",
        SCRIPT,
        ...words,
        parts.models,
        VERSIONS.skypilot,
      ];
      await mkdir(parts.uvCache, { recursive: true });
      await withHeartbeat("making the image of the lab's pods", MAKE_SECONDS, onProgress, async () => {
        await run("unshare", args, { timeoutSeconds: MAKE_SECONDS });
      });
      const layer = join(temporary, "layer");
      await mkdir(layer);
      await writeFile(join(layer, MARK), name);
      await packImage(layer, temporary, tag, IMAGE_ENVIRONMENT);
      await rm(layer, { recursive: true });
    });
  });
}

/** Environment of all processes in a pod. */
const IMAGE_ENVIRONMENT = {
  PATH: "/opt/dynamo/bin:/root/.local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  HOME: "/root",
  LANG: "C.UTF-8",
  SSL_CERT_FILE: "/etc/ssl/certs/ca-certificates.crt",
  HF_HUB_OFFLINE: "1",
} as const;

/**
 * Packs a directory as an image of one layer, as `docker save` writes them:
 * https://github.com/moby/docker-image-spec/blob/main/spec.md
 */
export async function packImage(
  rootfs: string,
  into: string,
  tag: string,
  env: Readonly<Record<string, string>>,
  entrypoint: readonly string[] = [],
): Promise<void> {
  const layer = join(into, "layer.tar");
  await run("tar", ["--numeric-owner", "-C", rootfs, "-cf", layer, "."], { timeoutSeconds: MAKE_SECONDS });
  const hash = createHash("sha256");
  await pipeline(createReadStream(layer), hash);
  const { config, manifest } = imageFiles(hash.digest("hex"), tag, env, entrypoint);
  await writeFile(join(into, "config.json"), JSON.stringify(config));
  await writeFile(join(into, "manifest.json"), JSON.stringify(manifest));
}

/** The two files beside the layer. Pure. */
export function imageFiles(
  layer: string,
  tag: string,
  env: Readonly<Record<string, string>>,
  entrypoint: readonly string[],
) {
  const architecture = process.arch === "arm64" ? "arm64" : "amd64";
  return {
    config: {
      architecture,
      os: "linux",
      config: {
        Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
        ...(entrypoint.length > 0 ? { Entrypoint: entrypoint } : { Cmd: ["/bin/bash"] }),
      },
      rootfs: { type: "layers", diff_ids: [`sha256:${layer}`] },
      history: [{ created_by: "dynamo-sky" }],
    },
    manifest: [{ Config: "config.json", RepoTags: [tag], Layers: ["layer.tar"] }],
  };
}

/** Gives an image, in the form of `docker save`, to a node's containerd. */
export async function importImage(node: string, directory: string): Promise<void> {
  const [image] = JSON.parse(readFileSync(join(directory, "manifest.json"), "utf8"));
  const files = ["manifest.json", image.Config, ...image.Layers];
  // A layer may be a link to another image's.
  const pack = spawn("tar", ["-C", directory, "-ch", ...files], { stdio: ["ignore", "pipe", "ignore"] });
  const load = spawn("ctr", [...ctrOf(node), "images", "import", "-"], {
    stdio: [pack.stdout, "ignore", "pipe"],
    timeout: IMPORT_SECONDS * 1000,
  });
  let told = "";
  load.stderr?.setEncoding("utf8").on("data", (text: string) => {
    told += text;
  });
  const code = await new Promise<number | null>((resolve) => {
    load.once("close", resolve);
  });
  pack.kill();
  if (code !== 0)
    throw new UserError(`containerd of ${node} does not take the image in ${directory}: ${told}`);
}

/** Mounts the pods' file system in a node over the layer of its image, unless it is. */
export async function mountImage(node: string): Promise<void> {
  const snapshots = `${nodeDirectory(node)}/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots`;
  const script = `for layer in ${snapshots}/*/fs; do
    if [ -e "$layer/${MARK}" ]; then mount --bind ${nodeImage(node)} "$layer"; fi
  done`;
  const [program = "", ...words] = inNode(node, ["sh", "-ec", script]);
  await run(program, words, { timeoutSeconds: 60 });
}

/** This machine's distribution: its name for debootstrap, its mirror and parts. */
async function distribution() {
  const release = readFileSync("/etc/os-release", "utf8");
  const suite = /^VERSION_CODENAME=(\S+)/m.exec(release)?.[1];
  const format = ["indextargets", "--format", "$(SITE) $(RELEASE) $(COMPONENT)", "Created-By: Packages"];
  const { stdout } = await run("apt-get", format, { timeoutSeconds: 60 });
  const targets = stdout.split("\n").map((line) => line.split(" "));
  const ours = targets.filter(([, of]) => of === suite);
  const mirror = ours[0]?.[0];
  if (suite === undefined || mirror === undefined)
    throw new UserError(
      "apt-get knows no mirror of this distribution's release: repair /etc/apt/sources.list.",
    );
  const components = [...new Set(ours.map(([, , component]) => component))].join(",");
  return { suite, mirror, components };
}
