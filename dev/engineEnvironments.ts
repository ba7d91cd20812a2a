/**
 * Python environments with a real engine each, to test against the engine's own argument parser. None needs a
 * GPU.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { VERSIONS } from "../config/versions";
import { ENGINES, type EngineName, engines } from "../engines";
import { cacheDir, type Progress, packageRoot } from "../toolchain/index";
import { readStamp, type Stamp, withHeartbeat, withLock, writeStamp } from "../toolchain/install";
import { ensureUv, installEnvironment } from "../toolchain/python";

const sizeOf = (engine: EngineName) => engines[engine].release?.environmentGB;

/** Engines that PyPI has wheels of. */
export const INSTALLED_ENGINES = ENGINES.filter((engine) => sizeOf(engine) !== undefined);

const INSTALL_SECONDS = 3600;

/** The exact packages of an engine's environment, with their hashes. */
export function engineRequirements(engine: EngineName): string {
  return join(packageRoot(), "test", "engines", "environments", `${engine}.txt`);
}

/** The same, one per line: `torch==2.11.0`. */
export function enginePins(engine: EngineName): string[] {
  return readFileSync(engineRequirements(engine), "utf8")
    .split("\n")
    .filter((line) => /^\S/.test(line))
    .map((line) => line.replace(/ \\$/, ""));
}

/** Name of the environment in the cache: another list of packages makes another environment. */
function environmentName(engine: EngineName): string {
  const hash = createHash("sha256")
    .update(`${enginePins(engine).join("\n")}\n`)
    .digest("hex");
  return `engine-${engine}-${VERSIONS.dynamo}-${hash.slice(0, 12)}`;
}

/** The `python` of an engine's environment, if installed. */
export function locateEngine(engine: EngineName): string | undefined {
  return readStamp(cacheDir(), environmentName(engine))?.path;
}

/** Installs an engine's environment into the cache if it is not there. @returns The path of its `python`. */
export async function ensureEngine(engine: EngineName, onProgress: Progress): Promise<string> {
  const cache = cacheDir();
  const name = environmentName(engine);
  const known = locateEngine(engine);
  if (known !== undefined) return known;
  const what = `installing Dynamo ${VERSIONS.dynamo} with ${engine}`;
  const lock = { purpose: what, waitSeconds: INSTALL_SECONDS, onProgress };
  const stamp = await withLock(join(cache, "locks", name), lock, async (): Promise<Stamp> => {
    const made = readStamp(cache, name);
    if (made !== undefined) return made;
    const size = sizeOf(engine);
    const room = size && ` (${size.disk} GB, of which about ${size.download} GB to fetch)`;
    onProgress(`${what} from PyPI into ${join(cache, name)}${room ?? ""}`);
    const uv = await ensureUv(cache, onProgress);
    // The list is complete, and some of its packages have requirements that it does not satisfy
    // (`vllm.override.in`).
    const requirements = ["--no-deps", "--require-hashes", "-r", engineRequirements(engine)];
    await withHeartbeat(what, INSTALL_SECONDS, onProgress, () =>
      installEnvironment({ cache, name, uv, requirements, timeoutSeconds: INSTALL_SECONDS }),
    );
    const path = join(cache, name, "bin", "python");
    return writeStamp(cache, name, { path, version: VERSIONS.dynamo, way: "installed from PyPI" });
  });
  return stamp.path;
}
