/** Python environments for tests only, with exact packages and checksums. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { cacheDir, type Progress, packageRoot } from "../toolchain/index";
import { readStamp, type Stamp, withLock, writeStamp } from "../toolchain/install";
import { ensureUv, installEnvironment } from "../toolchain/python";

interface TestEnvironment {
  /**
   * The packages, as written by `uv pip compile --generate-hashes` from the file `requirements.in` beside it.
   */
  readonly requirements: string;
  /** The program that it provides. */
  readonly program: string;
  /** Size of the download, for users. */
  readonly size: string;
}

const environments = {
  /** Includes GitLab's schema. */
  "check-jsonschema": {
    requirements: "test/pipelines/requirements.txt",
    program: "check-jsonschema",
    size: "a few MB",
  },
  /** Open MPI and mpi4py, as in NVIDIA's image of TensorRT-LLM. */
  openmpi: { requirements: "test/dynamo/standIns/requirements.txt", program: "mpirun", size: "7 MB" },
} as const satisfies Readonly<Record<string, TestEnvironment>>;

export type TestEnvironmentName = keyof typeof environments;

const INSTALL_SECONDS = 300;

function requirementsFile(name: TestEnvironmentName): string {
  return join(packageRoot(), environments[name].requirements);
}

/** Name of the environment's directory and stamp: another lock file makes another environment. */
function keyOf(name: TestEnvironmentName): string {
  const hash = createHash("sha256")
    .update(readFileSync(requirementsFile(name)))
    .digest("hex");
  return `${name}-${hash.slice(0, 12)}`;
}

/** The environment's directory of programs; undefined if not installed. Installs nothing. */
export function locateTestEnvironment(name: TestEnvironmentName): string | undefined {
  const path = readStamp(cacheDir(), keyOf(name))?.path;
  return path === undefined ? undefined : dirname(path);
}

/** Installs the environment into the cache if it is not there. */
export async function ensureTestEnvironment(name: TestEnvironmentName, onProgress: Progress): Promise<void> {
  const [cache, key] = [cacheDir(), keyOf(name)];
  const lock = { purpose: `installing ${name}`, waitSeconds: 2 * INSTALL_SECONDS, onProgress };
  await withLock(join(cache, "locks", key), lock, async (): Promise<Stamp> => {
    const known = readStamp(cache, key);
    if (known !== undefined) return known;
    const uv = await ensureUv(cache, onProgress);
    const { program, size } = environments[name];
    onProgress(`Installing ${name} from PyPI into ${join(cache, key)} (${size})`);
    const requirements = ["--require-hashes", "-r", requirementsFile(name)];
    await installEnvironment({ cache, name: key, uv, requirements, timeoutSeconds: INSTALL_SECONDS });
    const path = join(cache, key, "bin", program);
    return writeStamp(cache, key, { path, version: key, way: "installed from PyPI" });
  });
}
