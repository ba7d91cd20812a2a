/** Which `sky` is run, and how it is installed where there is none. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { UserError } from "../../driver/errors";
import type { Progress } from "../../driver/progress";
import { VERSIONS } from "../../plan/versions";

const run = promisify(execFile);
const INSTALL_TIMEOUT_MS = 900_000;

/** `DYNAMO_SKY_CACHE`, default `${XDG_CACHE_HOME:-~/.cache}/dynamo-sky`. */
function cacheDirectory(): string {
  return (
    process.env["DYNAMO_SKY_CACHE"] ||
    join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "dynamo-sky")
  );
}

/** The virtual environment of this project's own SkyPilot. */
export function skyPilotDirectory(): string {
  return join(cacheDirectory(), `skypilot-${VERSIONS.skypilot}`);
}

/**
 * Installs SkyPilot with support for Slurm into the tool chain's cache, unless it is there.
 *
 * @returns the path of its `sky`.
 */
export async function ensureOwnSkyPilot(uv: string, progress: Progress): Promise<string> {
  const directory = skyPilotDirectory();
  const sky = join(directory, "bin", "sky");
  if (existsSync(sky)) return sky;
  progress.line(`installing SkyPilot ${VERSIONS.skypilot} from PyPI into ${directory}`);
  try {
    await run(uv, ["venv", "--quiet", "--clear", "--python", ">=3.9,<3.14", directory], {
      timeout: INSTALL_TIMEOUT_MS,
    });
    const requirement = `skypilot[slurm]==${VERSIONS.skypilot}`;
    await run(uv, ["pip", "install", "--quiet", "--python", join(directory, "bin", "python"), requirement], {
      timeout: INSTALL_TIMEOUT_MS,
    });
  } catch (error) {
    throw new UserError(`SkyPilot could not be installed into ${directory}: ${String(error)}`);
  }
  return sky;
}
