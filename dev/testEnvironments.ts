/** Python environments that only tests need, each of exact packages with their checksums. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { cacheDir, type Progress, packageRoot } from "../toolchain/index";
import { readStamp, type Stamp, withLock, writeStamp } from "../toolchain/install";
import { ensureUv, installEnvironment } from "../toolchain/python";

interface TestEnvironment {
  /** The packages, as `uv pip compile --generate-hashes` writes them from the file `requirements.in` beside it. */
  readonly requirements: string;
  /** The program that it is for. */
  readonly program: string;
  /** How much is downloaded, for a person who waits. */
  readonly size: string;
}

const environments = {
  /** Carries GitLab's schema. */
  "check-jsonschema": {
    requirements: "test/pipelines/requirements.txt",
    program: "check-jsonschema",
    size: "a few MB",
  },
  /** Open MPI and mpi4py, which NVIDIA's image of TensorRT-LLM has. */
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

/** The environment's directory of programs; undefined where it is not installed. Installs nothing. */
export function locateTestEnvironment(name: TestEnvironmentName): string | undefined {
  const path = readStamp(cacheDir(), keyOf(name))?.path;
  return path === undefined ? undefined : dirname(path);
}

/** Installs the environment into the cache, unless it is there. */
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
