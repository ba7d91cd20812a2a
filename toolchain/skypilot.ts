/** Chooses the `sky` to run and its environment, and installs it if there is none. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { cloudOf } from "../config/infra";
import { VERSIONS } from "../config/versions";
import { cacheDir } from "../lib/dirs";
import { UserError } from "../lib/errors";
import { packageRoot } from "../lib/root";
import { findOnPath, run } from "../lib/run";
import {
  installDirectory,
  type Progress,
  readStamp,
  type Stamp,
  withHeartbeat,
  withLock,
  writeStamp,
} from "./install";
import { labNamed, labOf, thisMachine } from "./labInfra";
import { skyEnvironmentOf } from "./labs";
import { ensureUv } from "./python";
import { isAtLeast, parseVersion } from "./version";

const INSTALL_SECONDS = 900;
const VERSION_SECONDS = 120;
/** The lower limit is that of {@link skyPilotLock}. */
const PYTHONS = ">=3.10,<3.14";

/** A `sky` to run. */
export interface SkyProgram {
  /** Absolute path. */
  readonly command: string;
  /** Added to this process's environment. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * The `sky` for these infras: the lab's own if the lab is up and nothing else is meant, else the one on PATH,
 * else one installed into the cache with support for these clouds.
 *
 * @param infra As in the configuration: `aws/us-east-1`, `slurm/lab`. Empty: any infra of the user's
 * SkyPilot.
 * @throws UserError if the lab is meant and does not run, if the one on PATH is too old, or if there is none
 * and no infra says which clouds it must support.
 */
export async function findSky(infra: readonly string[], onProgress: Progress): Promise<SkyProgram> {
  const lab = await labOf(infra);
  if (lab !== undefined)
    return { command: await ensureOwnSkyPilot(lab.clouds, onProgress), env: skyEnvironmentOf(lab) };
  const onPath = await findOnPath("sky");
  if (onPath !== undefined) {
    await requireVersion(onPath);
    return { command: onPath, env: {} };
  }
  const clouds = cloudsOf(infra);
  if (clouds.length === 0) {
    throw new UserError(
      `There is no 'sky' on PATH, and 'sky.infra' names no cloud for which one could be installed. Set it, or run: ` +
        `uv tool install 'skypilot[aws,kubernetes]==${VERSIONS.skypilot}' (with your clouds in the brackets).`,
    );
  }
  return ownProgram(await ensureOwnSkyPilot(clouds, onProgress));
}

/**
 * SkyPilot calls programs of its clouds by name (`aws`), which were installed beside it; the user's own come
 * first.
 */
function ownProgram(command: string): SkyProgram {
  const path = [process.env["PATH"], dirname(command)].filter(Boolean).join(delimiter);
  return { command, env: { PATH: path } };
}

/** The same if it needs no installation or query; undefined otherwise. Never fails. */
export async function skyAtHand(infra: readonly string[]): Promise<SkyProgram | undefined> {
  const lab = labNamed(infra);
  if (infra.length === 0 || (lab !== undefined && !thisMachine(lab).hasLab)) return undefined;
  const known = readStamp(cacheDir(), "sky-on-path");
  const onPath = lab === undefined ? await findOnPath("sky") : undefined;
  if (onPath !== undefined) {
    const isUsable = known?.path === onPath && isAtLeast(known.version, VERSIONS.skypilot);
    return isUsable ? { command: onPath, env: {} } : undefined;
  }
  const command = join(skyPilotDirectory(cloudsOf(infra)), "bin", "sky");
  if (!existsSync(command)) return undefined;
  return lab === undefined ? ownProgram(command) : { command, env: skyEnvironmentOf(lab) };
}

/** The clouds of some infras, as SkyPilot's extras, unique and sorted. */
export function cloudsOf(infra: readonly string[]): string[] {
  const clouds = infra.map(cloudOf).filter((name) => name !== "*");
  return [...new Set(clouds)].sort();
}

/** The directory of this project's own SkyPilot with support for some clouds. */
export function skyPilotDirectory(clouds: readonly string[]): string {
  return join(cacheDir(), directoryName(clouds));
}

/**
 * All packages that SkyPilot needs for any of its clouds, in exact versions, with the hashes of their files.
 */
export function skyPilotLock(): string {
  return join(packageRoot(), "toolchain", "skypilot.txt");
}

/** Another lock makes another environment. */
function directoryName(clouds: readonly string[]): string {
  const hash = createHash("sha256").update(readFileSync(skyPilotLock())).digest("hex");
  return `skypilot-${VERSIONS.skypilot}-${clouds.join("-")}-${hash.slice(0, 12)}`;
}

/**
 * Installs SkyPilot with support for these clouds into the cache if it is not there. @returns The path of its
 * `sky`.
 */
export async function ensureOwnSkyPilot(clouds: readonly string[], onProgress: Progress): Promise<string> {
  const cache = cacheDir();
  const name = directoryName(clouds);
  const sky = join(cache, name, "bin", "sky");
  if (existsSync(sky)) return sky;
  const lock = { purpose: "installing SkyPilot", waitSeconds: INSTALL_SECONDS, onProgress };
  await withLock(join(cache, "locks", name), lock, async () => {
    if (existsSync(sky)) return;
    const uv = await ensureUv(cache, onProgress);
    onProgress(
      `installing SkyPilot ${VERSIONS.skypilot} for ${clouds.join(", ")} from PyPI into ${dirname(dirname(sky))}`,
    );
    await withHeartbeat("installing SkyPilot", INSTALL_SECONDS, onProgress, () =>
      installDirectory(cache, name, async (directory) => {
        // Relocatable, because the directory gets its final name only when it is complete.
        const venv = ["venv", "--quiet", "--relocatable", "--clear", "--python", PYTHONS, directory];
        await run(uv, venv, { timeoutSeconds: INSTALL_SECONDS });
        const requirement = `skypilot[${clouds.join(",")}]==${VERSIONS.skypilot}`;
        const install = [
          "pip",
          "install",
          "--quiet",
          // Loading SkyPilot takes three times as long without it, if Python is configured to write no
          // bytecode.
          "--compile-bytecode",
          // As constraints, since only some clouds' packages of the lock are needed; a package that is not in
          // it is rejected.
          "--require-hashes",
          "--constraints",
          skyPilotLock(),
          "--python",
          join(directory, "bin", "python"),
          requirement,
        ];
        await run(uv, install, { timeoutSeconds: INSTALL_SECONDS });
      }),
    );
  });
  return sky;
}

/** `sky --version` takes seconds, so its result is kept as long as the program is unchanged. */
async function requireVersion(sky: string): Promise<void> {
  const cache = cacheDir();
  const known: Stamp | undefined = readStamp(cache, "sky-on-path");
  const version = known?.path === sky ? known.version : await askVersion(sky);
  if (known?.path !== sky)
    await writeStamp(cache, "sky-on-path", { path: sky, version, way: "found on PATH" });
  if (!isAtLeast(version, VERSIONS.skypilot)) {
    throw new UserError(
      `${sky} is SkyPilot ${version}, and this needs ${VERSIONS.skypilot} or newer. Upgrade it, for example with: ` +
        `uv tool install --upgrade 'skypilot==${VERSIONS.skypilot}'`,
    );
  }
}

async function askVersion(sky: string): Promise<string> {
  const { stdout } = await run(sky, ["--version"], { timeoutSeconds: VERSION_SECONDS });
  return parseVersion(stdout)?.join(".") ?? "0.0.0";
}
