import { existsSync } from "node:fs";
import { join } from "node:path";
import { VERSIONS } from "../config/versions";
import { cacheDir, type Environment, pulumiHome } from "../lib/dirs";
import { packageRoot } from "../lib/root";
import { messageOf, run } from "../lib/run";
import { type Progress, readStamp, writeStamp } from "./install";
import { languageHostOnPath } from "./languageHost";
import { pulumiSiteIsReachable } from "./pulumi";

const installSeconds = 180;
const wanted = [
  { name: "command", version: VERSIONS.commandPlugin },
  { name: "random", version: VERSIONS.randomPlugin },
] as const;

/** Provider plugins of the engine. */
export interface Plugins {
  /** `official`, or `stand-in`: this repository's own. */
  readonly kind: "official" | "stand-in";
  /**
   * Directory to put on the engine's PATH; only for stand-ins, because a plugin on PATH takes precedence over
   * an official one.
   */
  readonly pathDirectory?: string;
}

/** Stamp of the choice of stand-ins, to avoid querying the download site every time. */
const stampKey = `plugins-nodejs-${wanted.map(({ name, version }) => `${name}-${version}`).join("-")}`;

/** Directory of the stand-ins. */
function standInDirectory(): string {
  return join(packageRoot(), "toolchain", "plugins", "bin");
}

/** Whether Pulumi's own plugin directory has the plugins, in exactly the versions of the npm packages. */
export function officialPluginsArePresent(env: Environment = process.env): boolean {
  const home = pulumiHome(env);
  return wanted.every(({ name, version }) =>
    existsSync(join(home, "plugins", `resource-${name}-v${version}`, `pulumi-resource-${name}`)),
  );
}

/** The current plugins, without installing anything; undefined if not decided yet. */
export function locatePlugins(env: Environment = process.env): Plugins | undefined {
  if (officialPluginsArePresent(env)) return { kind: "official" };
  const pathDirectory = standInDirectory();
  if (!readStamp(cacheDir(env), stampKey) || !existsSync(join(pathDirectory, "pulumi-resource-command")))
    return undefined;
  return { kind: "stand-in", pathDirectory };
}

/** Finds or installs the official plugins; if their site is not reachable, chooses the stand-ins. */
export async function ensurePlugins(cache: string, pulumi: string, onProgress: Progress): Promise<Plugins> {
  const known = locatePlugins();
  if (known) return known;
  if (await installOfficial(pulumi, onProgress)) return { kind: "official" };
  const pathDirectory = standInDirectory();
  const names = wanted.map(({ name, version }) => `${name} ${version}`).join(" and ");
  // The package has no stand-ins: they are for those who work on this repository.
  if (!wanted.every(({ name }) => existsSync(join(pathDirectory, `pulumi-resource-${name}`)))) {
    onProgress(`Pulumi's plugins ${names} cannot be downloaded: using what Pulumi finds on PATH`);
    return { kind: "official" };
  }
  onProgress(
    `Pulumi's plugins ${names} cannot be downloaded: using this repository's stand-ins for them, ${pathDirectory}`,
  );
  const host = languageHostOnPath(pulumi, process.env["PATH"] ?? "");
  if (host !== undefined)
    onProgress(
      `Pulumi's language host for Node is not there either: using this repository's stand-in for it, ${host}`,
    );
  await writeStamp(cache, stampKey, { path: cache, version: VERSIONS.pulumi, way: "stand-ins" });
  return { kind: "stand-in", pathDirectory };
}

async function installOfficial(pulumi: string, onProgress: Progress): Promise<boolean> {
  if (!(await pulumiSiteIsReachable())) return false;
  for (const { name, version } of wanted) {
    onProgress(`Downloading Pulumi's plugin ${name} ${version}`);
    try {
      await run(pulumi, ["plugin", "install", "resource", name, `v${version}`], {
        timeoutSeconds: installSeconds,
      });
    } catch (error) {
      onProgress(messageOf(error));
      return false;
    }
  }
  return true;
}
