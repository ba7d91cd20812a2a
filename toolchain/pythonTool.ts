/** Python programs with an environment of their own, installed from a lock when they are first used. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { cacheDir } from "../lib/dirs";
import { UserError } from "../lib/errors";
import { packageRoot } from "../lib/root";
import { messageOf } from "../lib/run";
import { type Progress, readStamp, type Stamp, withHeartbeat, withLock, writeStamp } from "./install";
import { ensureUv, installEnvironment } from "./python";

const INSTALL_SECONDS = 900;

export interface PythonTool {
  /** Its name on PyPI. */
  readonly name: string;
  readonly version: string;
  /** The exact packages with their hashes; relative to the package. */
  readonly lock: string;
  /** Versions of Python that it supports, from its metadata. */
  readonly pythons: string;
  /** The program in `bin` whose path is the stamp's. */
  readonly program: string;
  /** Size of the environment on disk, for users. */
  readonly megabytes: number;
}

/** The exact packages of the tool's environment, with their hashes. */
export function toolRequirements({ lock }: Pick<PythonTool, "lock">): string {
  return join(packageRoot(), lock);
}

/** Whether the tool is in the cache. */
export function hasPythonTool(tool: PythonTool): boolean {
  return readStamp(cacheDir(), keyOf(tool)) !== undefined;
}

/** Its name in the cache: another one for other packages. */
function keyOf(tool: PythonTool): string {
  const hash = createHash("sha256")
    .update(readFileSync(toolRequirements(tool)))
    .digest("hex");
  return `${tool.name}-${tool.version}-${hash.slice(0, 12)}`;
}

/** Installs the tool into the cache if it is not there. */
export async function ensurePythonTool(tool: PythonTool, onProgress: Progress): Promise<Stamp> {
  const cache = cacheDir();
  const key = keyOf(tool);
  const lock = { purpose: `installing ${tool.name}`, waitSeconds: INSTALL_SECONDS, onProgress };
  return (
    readStamp(cache, key) ??
    (await withLock(
      join(cache, "locks", key),
      lock,
      async () => readStamp(cache, key) ?? (await install(tool, { cache, key }, onProgress)),
    ))
  );
}

async function install(
  tool: PythonTool,
  { cache, key }: { readonly cache: string; readonly key: string },
  onProgress: Progress,
): Promise<Stamp> {
  const { name, version, pythons, program, megabytes } = tool;
  const started = Date.now();
  const uv = await ensureUv(cache, onProgress);
  onProgress(`Installing ${name} ${version} from PyPI into ${join(cache, key)} (about ${megabytes} MB)`);
  const requirements = ["--require-hashes", "-r", toolRequirements(tool)];
  const environment = { cache, name: key, uv, requirements, pythons, timeoutSeconds: INSTALL_SECONDS };
  await withHeartbeat(`installing ${name}`, INSTALL_SECONDS, onProgress, () =>
    installEnvironment(environment).catch((error: unknown) => {
      const last = messageOf(error).trimEnd().split("\n").at(-1)?.trim();
      throw new UserError(
        `${name} ${version} (about ${megabytes} MB from PyPI) could not be installed: ${last}\nIt is needed, and kept. See that PyPI can be reached: HTTPS_PROXY is heeded, and UV_DEFAULT_INDEX names a mirror.`,
      );
    }),
  );
  onProgress(`${name} ${version} installed in ${((Date.now() - started) / 1000).toFixed(0)} s`);
  return writeStamp(cache, key, {
    path: join(cache, key, "bin", program),
    version,
    way: "installed from PyPI",
  });
}
