/** What checks the pipeline files: actionlint for GitHub's, the JSON Schema of GitLab and of the operator for the others. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { VERSIONS } from "../plan/versions";
import { buildGoProgram, findGo } from "./toolchain/go";
import { cacheDir, type Progress, packageRoot } from "./toolchain/index";
import { installDirectory, readStamp, type Stamp, withLock, writeStamp } from "./toolchain/install";
import { ensureUv, installEnvironment } from "./toolchain/python";

const BUILD_SECONDS = 600;
const INSTALL_SECONDS = 300;
const ACTIONLINT = `actionlint-${VERSIONS.actionlint}`;

/** The exact packages of the environment of check-jsonschema, which carries GitLab's schema. */
function requirementsFile(): string {
  return join(packageRoot(), "test", "pipelines", "requirements.txt");
}

function schemaEnvironment(): string {
  const hash = createHash("sha256").update(readFileSync(requirementsFile())).digest("hex");
  return `check-jsonschema-${hash.slice(0, 12)}`;
}

/** The linters that are there; undefined where one is not, which for actionlint is so where there is no Go. */
export interface PipelineLinters {
  readonly actionlint: string | undefined;
  readonly checkJsonschema: string | undefined;
}

/** Where the linters are. Installs nothing. */
export function locatePipelineLinters(): PipelineLinters {
  const cache = cacheDir();
  return {
    actionlint: readStamp(cache, ACTIONLINT)?.path,
    checkJsonschema: readStamp(cache, schemaEnvironment())?.path,
  };
}

/** Installs the linters into the cache, unless they are there. What cannot be had is said. */
export async function ensurePipelineLinters(onProgress: Progress): Promise<PipelineLinters> {
  const there = locatePipelineLinters();
  if (there.actionlint === undefined) await locked(ACTIONLINT, onProgress, buildActionlint);
  if (there.checkJsonschema === undefined)
    await locked(schemaEnvironment(), onProgress, installCheckJsonschema);
  return locatePipelineLinters();
}

type Install = (cache: string, name: string, onProgress: Progress) => Promise<Stamp | undefined>;

function locked(name: string, onProgress: Progress, install: Install): Promise<Stamp | undefined> {
  const cache = cacheDir();
  const lock = { purpose: `installing ${name}`, waitSeconds: BUILD_SECONDS, onProgress };
  return withLock(
    join(cache, "locks", name),
    lock,
    async () => readStamp(cache, name) ?? install(cache, name, onProgress),
  );
}

async function buildActionlint(
  cache: string,
  name: string,
  onProgress: Progress,
): Promise<Stamp | undefined> {
  const go = await findGo();
  if (go === undefined) {
    onProgress("actionlint is not available here (no Go): the GitHub workflows are not linted");
    return undefined;
  }
  const version = VERSIONS.actionlint;
  onProgress(`Building actionlint ${version} with Go into ${join(cache, name)} (under a minute)`);
  const path = join(cache, name, "bin", "actionlint");
  await installDirectory(cache, name, async (directory) => {
    const output = join(directory, "bin", "actionlint");
    await mkdir(dirname(output));
    const program = { package: "github.com/rhysd/actionlint/cmd/actionlint", version, output };
    await buildGoProgram(go, { ...program, limitSeconds: BUILD_SECONDS }, onProgress);
  });
  return writeStamp(cache, name, { path, version, way: "built with Go" });
}

async function installCheckJsonschema(cache: string, name: string, onProgress: Progress): Promise<Stamp> {
  const uv = await ensureUv(cache, onProgress);
  onProgress(`Installing check-jsonschema from PyPI into ${join(cache, name)} (a few MB)`);
  const requirements = ["--require-hashes", "-r", requirementsFile()];
  await installEnvironment({ cache, name, uv, requirements, timeoutSeconds: INSTALL_SECONDS });
  const path = join(cache, name, "bin", "check-jsonschema");
  return writeStamp(cache, name, { path, version: name, way: "installed from PyPI" });
}
