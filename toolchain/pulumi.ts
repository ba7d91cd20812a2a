import { mkdir } from "node:fs/promises";
import { delimiter, join, sep } from "node:path";
import { VERSIONS } from "../config/versions";
import { UserError } from "../lib/errors";
import { isExecutable, isExecutableNow, isReachable, messageOf, run } from "../lib/run";
import { buildGoProgram, findGo } from "./go";
import { installDirectory, type Progress, readStamp, type Stamp, withHeartbeat, writeStamp } from "./install";
import { isCompatible } from "./version";

const downloadSite = "https://get.pulumi.com/install.sh";
const probeSeconds = 4;
const downloadSeconds = 300;
const buildSeconds = 1800;

/**
 * Directory in the cache, and stamp, of the downloaded or built CLI: other build settings need another name.
 */
const inCacheName = `pulumi-${VERSIONS.pulumi}-nocgo`;
/** Stamp of the CLI last found on PATH, whether its version is suitable or not. */
const onPathStamp = "pulumi-on-path";

async function versionOf(command: string): Promise<string> {
  const { stdout } = await run(command, ["version"], {
    timeoutSeconds: 30,
    env: { PULUMI_SKIP_UPDATE_CHECK: "true" },
  });
  return stdout.trim().replace(/^v/, "");
}

async function usable(command: string | undefined): Promise<string | undefined> {
  if (command === undefined || !(await isExecutable(command))) return undefined;
  const version = await versionOf(command).catch(() => undefined);
  return version !== undefined && isCompatible(version, VERSIONS.pulumi) ? version : undefined;
}

/** Whether Pulumi's download site is reachable, for the CLI and the plugins. */
export function pulumiSiteIsReachable(): Promise<boolean> {
  return isReachable(downloadSite, probeSeconds);
}

/** The first `pulumi` on PATH that is not the cache's own, which is on the PATH of all child processes. */
function findOnUsersPath(cache: string, path = process.env["PATH"] ?? ""): string | undefined {
  return path
    .split(delimiter)
    .filter((directory) => directory !== "" && !`${directory}${sep}`.startsWith(`${cache}${sep}`))
    .map((directory) => join(directory, "pulumi"))
    .find(isExecutableNow);
}

/**
 * The Pulumi CLI as recorded: the one on PATH is preferred over the cache's. Starts nothing.
 * @returns undefined if not determined yet.
 */
export function locatePulumi(cache: string): Stamp | undefined {
  const onPath = findOnUsersPath(cache);
  if (onPath !== undefined) {
    const seen = readStamp(cache, onPathStamp);
    if (seen?.path !== onPath) return undefined;
    if (isCompatible(seen.version, VERSIONS.pulumi)) return seen;
  }
  return readStamp(cache, inCacheName);
}

/**
 * Finds the Pulumi CLI on PATH or in the cache, else downloads it, else builds it with Go.
 * @throws Error that says what to install if neither is possible.
 */
export async function ensurePulumi(cache: string, onProgress: Progress): Promise<Stamp> {
  const known = locatePulumi(cache) ?? (await lookOnPath(cache, onProgress));
  if (known !== undefined) return known;
  const inCache = join(cache, inCacheName, "bin", "pulumi");
  const cachedVersion = await usable(inCache);
  if (cachedVersion !== undefined)
    return remember(cache, inCache, cachedVersion, "found in the cache", onProgress);

  const way = (await pulumiSiteIsReachable()) ? await download(cache, inCacheName, onProgress) : undefined;
  const made = way ?? (await build(cache, inCacheName, onProgress));
  return remember(cache, inCache, await versionOf(inCache), made, onProgress);
}

/** Queries the version of the CLI on PATH, and records it. */
async function lookOnPath(cache: string, onProgress: Progress): Promise<Stamp | undefined> {
  const path = findOnUsersPath(cache);
  if (path === undefined) return undefined;
  const version = (await versionOf(path).catch(() => undefined)) ?? "unknown";
  const stamp = await writeStamp(cache, onPathStamp, { path, version, way: "found on PATH" });
  const fits = isCompatible(version, VERSIONS.pulumi);
  onProgress(
    fits
      ? `Pulumi ${version}: found on PATH, ${path}`
      : `Pulumi ${version} on PATH (${path}) is not used: ${VERSIONS.pulumi} or a newer one of the same major version is needed`,
  );
  return locatePulumi(cache) ?? (fits ? stamp : undefined);
}

async function remember(
  cache: string,
  path: string,
  version: string,
  way: string,
  onProgress: Progress,
): Promise<Stamp> {
  onProgress(`Pulumi ${version}: ${way}, ${path}`);
  return writeStamp(cache, inCacheName, { path, version, way });
}

async function download(cache: string, name: string, onProgress: Progress): Promise<string | undefined> {
  onProgress(`Downloading the Pulumi CLI ${VERSIONS.pulumi} into ${join(cache, name)}`);
  // Loaded lazily: it takes half a second, too slow for every lookup.
  const { PulumiCommand } = await import("@pulumi/pulumi/automation/index.js");
  const limit = AbortSignal.timeout(downloadSeconds * 1000);
  try {
    await withHeartbeat("downloading the Pulumi CLI", downloadSeconds, onProgress, () =>
      installDirectory(cache, name, async (root) => {
        const aborted = new Promise<never>((_, reject) => {
          limit.addEventListener("abort", () => reject(new UserError(`no end after ${downloadSeconds} s`)));
        });
        // Installs the version of the @pulumi/pulumi package, which is VERSIONS.pulumi.
        await Promise.race([PulumiCommand.install({ root }), aborted]);
      }),
    );
    return "downloaded from Pulumi's site";
  } catch (error) {
    onProgress(`The download failed: ${messageOf(error)}`);
    return undefined;
  }
}

async function build(cache: string, name: string, onProgress: Progress): Promise<string> {
  const go = await findGo();
  if (go === undefined) {
    throw new UserError(
      `The Pulumi CLI ${VERSIONS.pulumi} is neither on PATH nor can it be downloaded from ${downloadSite}, and there is no Go to build it with. ` +
        `Install one of them: Pulumi (https://www.pulumi.com/docs/iac/download-install/) or Go ≥ 1.23 (https://go.dev/doc/install), then run this again.`,
    );
  }
  onProgress(
    `Pulumi's download site cannot be reached: building the Pulumi CLI ${VERSIONS.pulumi} with Go into ${join(cache, name)} (3 to 5 minutes on 2 cores, once)`,
  );
  await installDirectory(cache, name, async (directory) => {
    const bin = join(directory, "bin");
    await mkdir(bin);
    const program = {
      package: "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
      version: VERSIONS.pulumi,
      variables: { "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version": VERSIONS.pulumi },
      output: join(bin, "pulumi"),
      limitSeconds: buildSeconds,
    };
    await buildGoProgram(go, program, onProgress);
  });
  return "built with Go";
}
