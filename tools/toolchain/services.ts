import { existsSync } from "node:fs";
import { chmod, mkdir, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import { VERSIONS } from "../../plan/versions";
import { hasApt, unpackDebianPackage } from "./debian";
import { buildGoProgram, findGo } from "./go";
import { installDirectory, type Progress, readStamp, type Stamp, writeStamp } from "./install";
import { findOnPath, messageOf, run } from "./run";
import { isUsableEtcd, isUsableNats, parseVersion } from "./version";

/** A service of the control plane. */
export type ServiceName = "etcd" | "nats-server";

interface ServiceSource {
  readonly debianPackage: string;
  /** Where Debian's package puts the program, below `/`. */
  readonly debianPath: string;
  readonly goPackage: string;
  readonly goVersion: string;
  readonly isUsable: (version: string) => boolean;
}

const sources: Readonly<Record<ServiceName, ServiceSource>> = {
  etcd: {
    debianPackage: "etcd-server",
    debianPath: "usr/bin/etcd",
    goPackage: "go.etcd.io/etcd/server/v3",
    goVersion: VERSIONS.etcd,
    isUsable: isUsableEtcd,
  },
  "nats-server": {
    debianPackage: "nats-server",
    debianPath: "usr/sbin/nats-server",
    goPackage: "github.com/nats-io/nats-server/v2",
    goVersion: VERSIONS.natsServer,
    isUsable: isUsableNats,
  },
};
const buildSeconds = 600;

/** The service as it was found or installed before; quick. */
export function locateService(cache: string, name: ServiceName): Stamp | undefined {
  const known = readStamp(cache, name);
  return known && sources[name].isUsable(known.version) ? known : undefined;
}

async function usableVersion(name: ServiceName, path: string): Promise<string | undefined> {
  const { stdout } = await run(path, ["--version"], { timeoutSeconds: 30 }).catch(() => ({ stdout: "" }));
  const version = parseVersion(stdout)?.join(".");
  return version !== undefined && sources[name].isUsable(version) ? version : undefined;
}

/**
 * Finds a service on PATH, else unpacks it from the system's distribution, else builds it with Go.
 * @returns undefined when none of these is possible here; the reason is said.
 */
export async function ensureService(
  cache: string,
  name: ServiceName,
  onProgress: Progress,
): Promise<Stamp | undefined> {
  const known = locateService(cache, name);
  if (known) return known;
  const remember = async (path: string, way: string) => {
    const version = await usableVersion(name, path);
    if (version === undefined) return undefined;
    onProgress(`${name} ${version}: ${way}, ${path}`);
    return writeStamp(cache, name, { path, version, way });
  };
  const onPath = await findOnPath(name);
  const found = onPath === undefined ? undefined : await remember(onPath, "found on PATH");
  if (found) return found;

  const inCache = join(cache, name, "bin", name);
  const reasons: string[] = [];
  for (const [way, install] of [
    ["unpacked from the distribution's package", fromDebian],
    ["built with Go", fromGo],
  ] as const) {
    try {
      await install(cache, name, onProgress);
      const installed = await remember(inCache, way);
      if (installed) return installed;
      reasons.push(`the version ${way} is not a usable one`);
    } catch (error) {
      reasons.push(messageOf(error));
    }
  }
  onProgress(
    `${name} is not available here (${reasons.join("; ")}): local clusters use Dynamo's file discovery`,
  );
  return undefined;
}

async function fromDebian(cache: string, name: ServiceName, onProgress: Progress): Promise<void> {
  if (!(await hasApt())) throw new Error("no apt-get of a Debian or Ubuntu");
  const { debianPackage, debianPath } = sources[name];
  onProgress(`Unpacking ${name} from the distribution's package ${debianPackage} into ${join(cache, name)}`);
  await installDirectory(cache, name, async (directory) => {
    await unpackDebianPackage(debianPackage, join(directory, "package"));
    const program = join(directory, "bin", name);
    await mkdir(dirname(program));
    await rename(join(directory, "package", debianPath), program);
    await chmod(program, 0o755);
  });
}

async function fromGo(cache: string, name: ServiceName, onProgress: Progress): Promise<void> {
  const go = await findGo();
  if (go === undefined) throw new Error("no Go");
  const { goPackage, goVersion } = sources[name];
  onProgress(`Building ${name} ${goVersion} with Go into ${join(cache, name)} (half a minute)`);
  await installDirectory(cache, name, async (directory) => {
    const output = join(directory, "bin", name);
    await mkdir(dirname(output));
    await buildGoProgram(
      go,
      { package: goPackage, version: goVersion, output, limitSeconds: buildSeconds },
      onProgress,
    );
  });
}

/** Whether `ensureService` can be expected to find or make one: some source exists here. Quick, starts nothing. */
export function serviceIsObtainable(name: ServiceName, path = process.env["PATH"] ?? ""): boolean {
  const has = (program: string) =>
    path.split(":").some((dir) => dir !== "" && existsSync(join(dir, program)));
  return has(name) || has("go") || (has("apt-get") && has("dpkg"));
}
