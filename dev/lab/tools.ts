/** Programs that the lab uses from the project's toolchain. */
import { realpathSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import type { Progress } from "../../lib/progress";
import { cacheDir, ensureToolchain } from "../../toolchain";
import { type Lab, SLURM } from "../../toolchain/labs";
import { ensureUv } from "../../toolchain/python";
import { ensureOwnSkyPilot, skyPilotDirectory } from "../../toolchain/skypilot";

/** The model of the lab's stack, whose tokenizer the mocker needs. */
const MODEL = "Qwen/Qwen3-8B";

export interface LabTools {
  /** `sky` of a SkyPilot with Slurm support. */
  readonly sky: string;
  /** uv, and the cache that nodes share with it. */
  readonly uv: string;
  readonly uvCache: string;
  /** Python of SkyPilot's runtime on the nodes. */
  readonly python: string;
  /** Programs on the PATH of the nodes' tasks, as if preinstalled in an image: by name. */
  readonly programs: Readonly<Record<string, string>>;
  /** Environment for the nodes: the directory of the model's files. */
  readonly nodeEnvironment: Readonly<Record<string, string>>;
}

/** Path of a lab's `sky`, installed or not. */
export function installedSky(lab: Lab = SLURM): string {
  return join(skyPilotDirectory(lab.clouds), "bin", "sky");
}

/** Finds or installs the tools of the lab. */
export async function findLabTools(progress: Progress): Promise<LabTools> {
  const uv = await ensureUv(cacheDir(), progress.line);
  const sky = await ensureOwnSkyPilot(SLURM.clouds, progress.line);
  const tools = await ensureToolchain({
    need: ["etcd", "nats-server", "model"],
    model: MODEL,
    onProgress: progress.line,
  });
  const services = { etcd: tools.etcd?.path, "nats-server": tools.natsServer?.path };
  const found = Object.entries(services).flatMap(([name, path]) =>
    path === undefined ? [] : [[name, path]],
  );
  return {
    sky,
    uv,
    uvCache: process.env["UV_CACHE_DIR"] ?? join(homedir(), ".cache", "uv"),
    python: realpathSync(join(dirname(sky), "python")),
    programs: Object.fromEntries(found),
    // The tokenizer may have been built here, and be unknown to the hub.
    nodeEnvironment: tools.hfHome === undefined ? {} : { HF_HOME: tools.hfHome, HF_HUB_OFFLINE: "1" },
  };
}
