/**
 * Linters of the pipeline files: actionlint for GitHub's, the JSON Schemas of GitLab and the operator for the
 * others.
 */
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { VERSIONS } from "../config/versions";
import { buildGoProgram, findGo } from "../toolchain/go";
import { cacheDir, type Progress } from "../toolchain/index";
import { installDirectory, readStamp, type Stamp, withLock, writeStamp } from "../toolchain/install";
import { ensureTestEnvironment, locateTestEnvironment } from "./testEnvironments";

const BUILD_SECONDS = 600;
const ACTIONLINT = `actionlint-${VERSIONS.actionlint}`;

/** The available linters; undefined if missing, as actionlint is without Go. */
export interface PipelineLinters {
  readonly actionlint: string | undefined;
  readonly checkJsonschema: string | undefined;
}

/** Paths of the linters. Installs nothing. */
export function locatePipelineLinters(): PipelineLinters {
  const checkJsonschema = locateTestEnvironment("check-jsonschema");
  return {
    actionlint: readStamp(cacheDir(), ACTIONLINT)?.path,
    checkJsonschema: checkJsonschema === undefined ? undefined : join(checkJsonschema, "check-jsonschema"),
  };
}

/** Installs the linters into the cache if they are not there. Unavailable ones are reported. */
export async function ensurePipelineLinters(onProgress: Progress): Promise<PipelineLinters> {
  const cache = cacheDir();
  const lock = { purpose: `installing ${ACTIONLINT}`, waitSeconds: BUILD_SECONDS, onProgress };
  if (readStamp(cache, ACTIONLINT) === undefined)
    await withLock(
      join(cache, "locks", ACTIONLINT),
      lock,
      async () => readStamp(cache, ACTIONLINT) ?? buildActionlint(cache, ACTIONLINT, onProgress),
    );
  await ensureTestEnvironment("check-jsonschema", onProgress);
  return locatePipelineLinters();
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
