/** Programs that the lab takes from the project's tool chain. */
import { realpathSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { Progress } from "../../driver/progress";
import { ensureOwnSkyPilot, skyPilotDirectory } from "../toolchain/skypilot";

export interface LabTools {
  /** `sky` of a SkyPilot with Slurm support. */
  readonly sky: string;
  /** uv, and the cache that nodes share with it. */
  readonly uv: string;
  readonly uvCache: string;
  /** Python that SkyPilot's runtime on the nodes uses. */
  readonly python: string;
  /** Set for what runs on the nodes: where the model's files are, for instance. */
  readonly nodeEnvironment: Readonly<Record<string, string>>;
}

/** Path of the lab's `sky`, installed or not. */
export function installedSky(): string {
  return join(skyPilotDirectory(), "bin", "sky");
}

/** Finds or installs what the lab needs. */
export async function findLabTools(progress: Progress): Promise<LabTools> {
  const uv = process.env["LAB_UV"] ?? "uv";
  const sky = await ensureOwnSkyPilot(uv, progress);
  return {
    sky,
    uv,
    uvCache: process.env["UV_CACHE_DIR"] ?? join(homedir(), ".cache", "uv"),
    python: realpathSync(join(skyPilotDirectory(), "bin", "python")),
    nodeEnvironment: {},
  };
}
