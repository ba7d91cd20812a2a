/** `lab up --kubernetes`: starts everything in dependency order; idempotent. */
import { execFile } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { UserError } from "../../../lib/errors";
import { writePrivate } from "../../../lib/files";
import { poll } from "../../../lib/poll";
import type { Progress } from "../../../lib/progress";
import { cacheDir, ensureToolchain } from "../../../toolchain";
import { ensureKubernetesPrograms, KUBERNETES_PROGRAMS } from "../../../toolchain/kubernetes";
import {
  KUBERNETES_CGROUP,
  KUBERNETES_IMAGE,
  KUBERNETES_LAB,
  KUBERNETES_NODE,
  KUBERNETES_NODES,
  KUBERNETES_SKYPILOT_USER,
} from "../../../toolchain/kubernetesLabLayout";
import { KUBERNETES } from "../../../toolchain/labs";
import { ensureUv } from "../../../toolchain/python";
import { ensureOwnSkyPilot } from "../../../toolchain/skypilot";
import { ACCELERATOR_CATALOGUE } from "../files";
import { ensureDaemons } from "../processes";
import { ensurePackages, linkPrograms, requireLabMachine } from "../system";
import { ensureCertificates } from "./certificates";
import { ctrOf, kubectl, kubernetesDaemons } from "./daemons";
import { configurations, PAUSE_IMAGE, skyPilotConfig } from "./files";
import { ensureImage, imageFileSystem, importImage, mountImage, packImage } from "./image";
import { IMAGE_LINK, nodeDirectory, nodeImage, nodeScript, writeClaimedFiles } from "./machine";
import { networkScript } from "./network";
import { controllers } from "./traces";

/** Debian's packages, each with what shows its presence. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  containerd: ["containerd", "ctr"],
  runc: ["runc"],
  "containernetworking-plugins": ["/usr/lib/cni/bridge"],
  iptables: ["iptables"],
  iproute2: ["ip"],
  slirp4netns: ["slirp4netns"],
  debootstrap: ["debootstrap"],
  openssl: ["openssl"],
  curl: ["curl"],
  // SkyPilot calls these on its own machine.
  socat: ["socat"],
  "netcat-openbsd": ["nc"],
  "openssh-client": ["ssh", "ssh-keygen"],
  rsync: ["rsync"],
};
/** The model of the lab's stack, whose tokenizer is in the image. */
const MODEL = "Qwen/Qwen3-8B";
const GPUS_SECONDS = 60;

interface Tools {
  readonly sky: string;
  readonly programs: string;
  readonly etcd: string;
  /** Directory of the pods' image. */
  readonly image: string;
}

/** @throws UserError if the machine cannot run a lab, or a daemon does not start. */
export async function kubernetesUp(progress: Progress, signal: AbortSignal): Promise<void> {
  requireLabMachine();
  ensurePackages(KUBERNETES_LAB.root, PACKAGES, progress);
  const tools = await findTools(progress);
  writeFiles(tools);
  makeControlGroups();
  await ensureCertificates();
  await ensureDaemons(KUBERNETES, kubernetesDaemons(tools.sky), progress, signal);
  await importImages(tools.image, progress);
  await Promise.all(KUBERNETES_NODES.map(({ name }) => declareGpus(name, progress, signal)));
}

/** Finds, builds or installs what it needs in the cache. One after the other: each takes all CPUs. */
async function findTools(progress: Progress): Promise<Tools> {
  const cache = cacheDir();
  const found = await ensureToolchain({
    need: ["etcd", "model"],
    model: MODEL,
    onProgress: progress.line,
  });
  if (found.etcd === undefined || found.hfHome === undefined)
    throw new UserError("The lab's Kubernetes needs etcd: install Debian's package etcd-server, or Go.");
  const programs = await ensureKubernetesPrograms(cache, progress.line);
  const uv = await ensureUv(cache, progress.line);
  const uvCache = process.env["UV_CACHE_DIR"] ?? join(homedir(), ".cache", "uv");
  const models = join(found.hfHome, "hub");
  const image = await ensureImage({ cache, uv, uvCache, models }, KUBERNETES_IMAGE, progress.line);
  const sky = await ensureOwnSkyPilot(KUBERNETES.clouds, progress.line);
  return { sky, programs, etcd: found.etcd.path, image };
}

function writeFiles(tools: Tools): void {
  const { home, etc, bin, log, run, etcd, nodes, tmp } = KUBERNETES_LAB;
  for (const path of [home, etc, bin, log, run, etcd, nodes, tmp, join(etc, "registries")])
    mkdirSync(path, { recursive: true, mode: 0o700 });
  for (const [name, text] of Object.entries(configurations(KUBERNETES_NODES)))
    writePrivate(join(etc, name), text);
  writePrivate(join(etc, "network.sh"), networkScript());
  for (const { name } of KUBERNETES_NODES) {
    const own = ["log", "kubelet", "pod-logs", "volume-plugins"].map((part) =>
      join(nodeDirectory(name), part),
    );
    for (const path of [...own, nodeImage(name)]) mkdirSync(path, { recursive: true });
    writePrivate(join(nodeDirectory(name), "node.sh"), nodeScript(name));
  }
  rmSync(IMAGE_LINK, { force: true });
  symlinkSync(imageFileSystem(tools.image), IMAGE_LINK);
  writeClaimedFiles();
  writePrivate(join(home, ".sky", "config.yaml"), skyPilotConfig());
  writePrivate(join(home, ".sky", "user_hash"), KUBERNETES_SKYPILOT_USER);
  writePrivate(join(home, ".sky", "catalogs", "v8", "common", "accelerators.csv"), ACCELERATOR_CATALOGUE);
  const built = Object.fromEntries(KUBERNETES_PROGRAMS.map((name) => [name, join(tools.programs, name)]));
  linkPrograms(bin, { ...built, etcd: tools.etcd });
}

/** The kubelet wants its own to be there, and with cgroup v1 a new one may use no CPU. */
function makeControlGroups(): void {
  for (const controller of controllers()) {
    let above = controller;
    for (const part of [
      KUBERNETES_CGROUP,
      ...KUBERNETES_NODES.map(({ name }) => `${KUBERNETES_CGROUP}/${name}`),
    ]) {
      const path = join(controller, part);
      above = dirname(path);
      mkdirSync(path, { recursive: true });
      for (const file of ["cpuset.cpus", "cpuset.mems"])
        if (existsSync(join(above, file)) && readFileSync(join(path, file), "utf8").trim() === "")
          writeFileSync(join(path, file), readFileSync(join(above, file), "utf8").trim());
    }
  }
}

/** Puts the images into each node's containerd that has them not. */
async function importImages(image: string, progress: Progress): Promise<void> {
  const pause = join(KUBERNETES_LAB.etc, "pause");
  if (!existsSync(join(pause, "manifest.json"))) {
    const rootfs = join(pause, "rootfs");
    mkdirSync(rootfs, { recursive: true });
    copyFileSync(join(KUBERNETES_LAB.bin, "pause"), join(rootfs, "pause"));
    chmodSync(join(rootfs, "pause"), 0o755);
    await packImage(rootfs, pause, PAUSE_IMAGE, {}, ["/pause"]);
  }
  const wanted = { [PAUSE_IMAGE]: pause, [KUBERNETES_IMAGE]: image };
  await Promise.all(
    KUBERNETES_NODES.map(async ({ name }) => {
      const { stdout } = await promisify(execFile)("ctr", [...ctrOf(name), "images", "list", "-q"]);
      for (const [tag, directory] of Object.entries(wanted)) {
        if (stdout.split("\n").includes(tag)) continue;
        progress.line(`importing ${tag} into ${name}`);
        await importImage(name, directory);
      }
      await mountImage(name);
    }),
  );
}

/** A kubelet drops at its start what was declared before it: until the node has them. */
async function declareGpus(node: string, progress: Progress, signal: AbortSignal): Promise<void> {
  const resource = "nvidia.com/gpu";
  const ask = promisify(execFile);
  const patch = JSON.stringify({ status: { capacity: { [resource]: String(KUBERNETES_NODE.gpus) } } });
  const path = "{.status.allocatable.nvidia\\.com/gpu}";
  let seen = 0;
  const missing = await poll({
    timeoutSeconds: GPUS_SECONDS,
    progress,
    signal,
    check: async () => {
      const [program, get] = kubectl("get", "node", node, "-o", `jsonpath=${path}`);
      const { stdout } = await ask(program, [...get]);
      seen = stdout.trim() === String(KUBERNETES_NODE.gpus) ? seen + 1 : 0;
      if (seen > 1) return undefined;
      const words = kubectl("patch", "node", node, "--subresource=status", "--type=merge", "-p", patch)[1];
      if (seen === 0) await ask(program, [...words]);
      return `${node} to have its GPUs`;
    },
  });
  if (missing !== undefined) throw new UserError(`Waited ${GPUS_SECONDS} s for ${missing}.`);
}
