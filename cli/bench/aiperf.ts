/** NVIDIA's load generator in its own Python environment, installed on first use. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { VERSIONS } from "../../config/versions";
import { cacheDir, type Progress, packageRoot } from "../../toolchain/index";
import { readStamp, type Stamp, withHeartbeat, withLock, writeStamp } from "../../toolchain/install";
import { ensureUv, installEnvironment } from "../../toolchain/python";

/** From the package's metadata: https://pypi.org/project/aiperf/ */
const PYTHONS = ">=3.11,<3.14";
const INSTALL_SECONDS = 900;

export interface Aiperf {
  /** The `aiperf` command. */
  readonly command: string;
  /** Its Python, which can also download and build tokenizers. */
  readonly python: string;
}

/** The exact packages of the environment, with their hashes. */
export function aiperfRequirements(): string {
  return join(packageRoot(), "cli", "bench", "requirements.txt");
}

/** Installs aiperf into the cache if it is not there. */
export async function ensureAiperf(onProgress: Progress): Promise<Aiperf> {
  const cache = cacheDir();
  const hash = createHash("sha256").update(readFileSync(aiperfRequirements())).digest("hex");
  const name = `aiperf-${VERSIONS.aiperf}-${hash.slice(0, 12)}`;
  const lock = { purpose: "installing aiperf", waitSeconds: INSTALL_SECONDS, onProgress };
  const stamp =
    readStamp(cache, name) ??
    (await withLock(
      join(cache, "locks", name),
      lock,
      async () => readStamp(cache, name) ?? (await install(cache, name, onProgress)),
    ));
  return { command: stamp.path, python: join(dirname(stamp.path), "python") };
}

async function install(cache: string, name: string, onProgress: Progress): Promise<Stamp> {
  const started = Date.now();
  const uv = await ensureUv(cache, onProgress);
  onProgress(`Installing aiperf ${VERSIONS.aiperf} from PyPI into ${join(cache, name)} (about 840 MB)`);
  const requirements = ["--require-hashes", "-r", aiperfRequirements()];
  await withHeartbeat("installing aiperf", INSTALL_SECONDS, onProgress, () =>
    installEnvironment({ cache, name, uv, requirements, pythons: PYTHONS, timeoutSeconds: INSTALL_SECONDS }),
  );
  onProgress(`aiperf ${VERSIONS.aiperf} installed in ${((Date.now() - started) / 1000).toFixed(0)} s`);
  const path = join(cache, name, "bin", "aiperf");
  return writeStamp(cache, name, { path, version: VERSIONS.aiperf, way: "installed from PyPI" });
}
