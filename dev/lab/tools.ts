/** Programs that the lab takes from the project's tool chain. */
import { realpathSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import type { Progress } from "../../lib/progress";
import { cacheDir, ensureToolchain } from "../../toolchain";
import { ensureUv } from "../../toolchain/python";
import { ensureOwnSkyPilot, skyPilotDirectory } from "../../toolchain/skypilot";

/** Clouds that the lab's SkyPilot supports. */
const CLOUDS = ["slurm"];
/** The model of the lab's stack, whose tokenizer the mocker engine needs. */
const MODEL = "Qwen/Qwen3-8B";

export interface LabTools {
  /** `sky` of a SkyPilot with Slurm support. */
  readonly sky: string;
  /** uv, and the cache that nodes share with it. */
  readonly uv: string;
  readonly uvCache: string;
  /** Python that SkyPilot's runtime on the nodes uses. */
  readonly python: string;
  /** Programs that tasks find on their nodes' PATH, as on an image that has them: by name. */
  readonly programs: Readonly<Record<string, string>>;
  /** Set for what runs on the nodes: where the model's files are. */
  readonly nodeEnvironment: Readonly<Record<string, string>>;
}

/** Path of the lab's `sky`, installed or not. */
export function installedSky(): string {
  return join(skyPilotDirectory(CLOUDS), "bin", "sky");
}

/** Finds or installs what the lab needs. */
export async function findLabTools(progress: Progress): Promise<LabTools> {
  const uv = await ensureUv(cacheDir(), progress.line);
  const sky = await ensureOwnSkyPilot(CLOUDS, progress.line);
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
    // The tokenizer may be one that was built here, of which the hub knows nothing.
    nodeEnvironment: tools.hfHome === undefined ? {} : { HF_HOME: tools.hfHome, HF_HUB_OFFLINE: "1" },
  };
}
