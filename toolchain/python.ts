import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { VERSIONS } from "../config/versions";
import { UserError } from "../lib/errors";
import { packageRoot } from "../lib/root";
import { findOnPath, isExecutable, run } from "../lib/run";
import { hasApt, unpackDebianPackage } from "./debian";
import { installDirectory, type Progress, readStamp, type Stamp, withHeartbeat, writeStamp } from "./install";

/** ai-dynamo requires 3.10; the upper limit is the newest version with wheels for its dependencies. */
const pythonVersions = ">=3.10,<3.14";
const installSeconds = 900;
const uvSeconds = 180;

/** The Python environments of nodes on this machine: Dynamo alone, or with what its planner imports. */
export type PythonName = "python" | "planner";

const LOCKS: Readonly<Record<PythonName, string>> = { python: "requirements.txt", planner: "planner.txt" };

const SIZES: Readonly<Record<PythonName, number>> = { python: 450, planner: 900 };

/** The exact packages of a Python environment, with their hashes. */
export function requirementsFile(name: PythonName = "python"): string {
  return join(packageRoot(), "toolchain", LOCKS[name]);
}

/** uv's version with the hashes of its files. */
export function uvRequirementsFile(): string {
  return join(packageRoot(), "toolchain", "uv.txt");
}

/** Name of the environment's directory and stamp: another lock file makes another environment. */
export function pythonKey(name: PythonName = "python"): string {
  const hash = createHash("sha256")
    .update(readFileSync(requirementsFile(name)))
    .digest("hex");
  return `${name}-${VERSIONS.dynamo}-${hash.slice(0, 12)}`;
}

/** A Python environment with Dynamo and supervisor; the stamp's path is its `python`. */
export async function ensurePython(
  cache: string,
  onProgress: Progress,
  name: PythonName = "python",
): Promise<Stamp> {
  const key = pythonKey(name);
  const known = readStamp(cache, key);
  if (known) return known;
  const started = Date.now();
  const uv = await ensureUv(cache, onProgress);
  onProgress(
    `Installing Dynamo ${VERSIONS.dynamo}${name === "planner" ? " with its planner" : ""} and supervisor ${VERSIONS.supervisor} from PyPI into ${join(cache, key)} (about ${SIZES[name]} MB)`,
  );
  // The list is complete, and Dynamo asks for more than is in it (`runtime/overrides.txt`).
  const requirements = ["--no-deps", "--require-hashes", "-r", requirementsFile(name)];
  await withHeartbeat("installing the Python packages", installSeconds, onProgress, () =>
    installEnvironment({ cache, name: key, uv, requirements, timeoutSeconds: installSeconds }),
  );
  const path = join(cache, key, "bin", "python");
  await run(path, ["-c", "import dynamo.frontend, supervisor"], { timeoutSeconds: 120 });
  onProgress(`Dynamo ${VERSIONS.dynamo} installed in ${((Date.now() - started) / 1000).toFixed(0)} s`);
  return writeStamp(cache, key, { path, version: VERSIONS.dynamo, way: "installed from PyPI" });
}

/** A Python environment to create. */
export interface EnvironmentSpec {
  readonly cache: string;
  /** Name of its directory in the cache. */
  readonly name: string;
  readonly uv: string;
  /** Arguments of `uv pip install`. */
  readonly requirements: readonly string[];
  /** Supported versions of Python. Default: those of Dynamo. */
  readonly pythons?: string;
  /** Time limit of each of the two steps. */
  readonly timeoutSeconds: number;
}

/** Creates a Python environment in the cache atomically. Files are hard links to uv's cache if possible. */
export async function installEnvironment(spec: EnvironmentSpec): Promise<void> {
  const { cache, name, uv, requirements, pythons = pythonVersions, timeoutSeconds } = spec;
  await installDirectory(cache, name, async (directory) => {
    // Relocatable, because the directory gets its final name only when it is complete.
    const venv = ["venv", "--quiet", "--relocatable", "--python", pythons, "--clear", directory];
    await run(uv, venv, { timeoutSeconds });
    const install = ["pip", "install", "--quiet", "--python", join(directory, "bin", "python")];
    await run(uv, [...install, ...requirements], { timeoutSeconds });
  });
}

/** uv: the one on PATH, else installed into the cache. */
export async function ensureUv(cache: string, onProgress: Progress): Promise<string> {
  const onPath = await findOnPath("uv");
  if (onPath !== undefined) return onPath;
  const name = `uv-${VERSIONS.uv}`;
  const uv = join(cache, name, "bin", "uv");
  if (await isExecutable(uv)) return uv;
  const python = await findOnPath("python3");
  if (python === undefined) {
    throw new UserError(
      "Neither uv nor python3 is on PATH. Install one of them: uv (https://docs.astral.sh/uv/getting-started/installation/) or Python ≥ 3.10, then run this again.",
    );
  }
  onProgress(`Installing uv ${VERSIONS.uv} from PyPI into ${join(cache, name)}`);
  await installDirectory(cache, name, (directory) =>
    withPip(python, (pip) => {
      const args = [
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-compile",
        "--target",
        directory,
        ...["--require-hashes", "-r", uvRequirementsFile()],
      ];
      return run(pip[0], [...pip.slice(1), ...args], { timeoutSeconds: uvSeconds });
    }),
  );
  return uv;
}

/**
 * Runs `work` with a command line for pip: from a temporary environment, or Debian's pip wheel, if Python
 * cannot create environments (Debian's python3 without python3-venv).
 */
async function withPip(
  python: string,
  work: (pip: readonly [string, ...string[]]) => Promise<unknown>,
): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), "dynamo-sky-pip-"));
  try {
    const venv = join(scratch, "venv");
    const made = await run(python, ["-m", "venv", venv], { timeoutSeconds: uvSeconds }).then(
      () => undefined,
      (error: unknown) => error,
    );
    if (made === undefined) {
      await work([join(venv, "bin", "python"), "-m", "pip"]);
      return;
    }
    if (!(await hasApt())) {
      throw new UserError(
        `${python} cannot make a virtual environment; install its venv module, or uv. ${String(made)}`,
      );
    }
    await unpackDebianPackage("python3-pip-whl", scratch);
    const wheels = join(scratch, "usr", "share", "python-wheels");
    const wheel = (await readdir(wheels)).find((file) => file.startsWith("pip-"));
    if (wheel === undefined)
      throw new UserError("Debian's package python3-pip-whl holds no pip; install uv or python3-venv");
    await work([python, join(wheels, wheel, "pip")]);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
