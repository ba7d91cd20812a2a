import { existsSync } from "node:fs";
import { chmod, mkdir, rename } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { VERSIONS } from "../config/versions";
import { findOnPath, messageOf, run } from "../lib/run";
import { hasApt, unpackDebianPackage } from "./debian";
import { buildGoProgram, findGo } from "./go";
import { installDirectory, type Progress, readStamp, type Stamp, writeStamp } from "./install";
import { isUsableEtcd, isUsableNats, isUsableNginx, isUsablePrometheus, parseVersion } from "./version";

/** A service of the control plane, the gateway's server, or Prometheus and its tool to check files. */
export type ServiceName = "etcd" | "nats-server" | "nginx" | "prometheus" | "promtool";

interface ServiceSource {
  /** The first of these packages that has the program: names differ between releases. */
  readonly debianPackages: readonly string[];
  /** Path of the program in Debian's package, below `/`. */
  readonly debianPath: string;
  /**
   * Absent if it is not a Go program, or takes too long to build: Prometheus includes the SDK of every cloud.
   */
  readonly go?: { readonly package: string; readonly version: string };
  readonly versionArgument: string;
  /** Effect if it is missing. */
  readonly without: string;
  readonly isUsable: (version: string) => boolean;
}

const WITHOUT_CONTROL_PLANE = "local clusters use Dynamo's file discovery";

const sources: Readonly<Record<ServiceName, ServiceSource>> = {
  etcd: {
    debianPackages: ["etcd-server"],
    debianPath: "usr/bin/etcd",
    go: { package: "go.etcd.io/etcd/server/v3", version: VERSIONS.etcd },
    versionArgument: "--version",
    without: WITHOUT_CONTROL_PLANE,
    isUsable: isUsableEtcd,
  },
  "nats-server": {
    debianPackages: ["nats-server"],
    debianPath: "usr/sbin/nats-server",
    go: { package: "github.com/nats-io/nats-server/v2", version: VERSIONS.natsServer },
    versionArgument: "--version",
    without: WITHOUT_CONTROL_PLANE,
    isUsable: isUsableNats,
  },
  nginx: {
    // Debian 12, Ubuntu 24.04 and later; in older releases `nginx` is a metapackage for the other one.
    debianPackages: ["nginx", "nginx-core"],
    debianPath: "usr/sbin/nginx",
    versionArgument: "-v",
    without: "local clusters cannot have a gateway",
    isUsable: isUsableNginx,
  },
  prometheus: {
    debianPackages: ["prometheus"],
    debianPath: "usr/bin/prometheus",
    versionArgument: "--version",
    without: "local clusters cannot run one (metrics.prometheus)",
    isUsable: isUsablePrometheus,
  },
  promtool: {
    debianPackages: ["prometheus"],
    debianPath: "usr/bin/promtool",
    versionArgument: "--version",
    without: "Prometheus's rules cannot be tested",
    isUsable: isUsablePrometheus,
  },
};
const buildSeconds = 600;
const SERVER_DIRECTORIES = ["/usr/local/sbin", "/usr/sbin"];

/** The service, as found or installed before; fast. */
export function locateService(cache: string, name: ServiceName): Stamp | undefined {
  const known = readStamp(cache, name);
  return known && sources[name].isUsable(known.version) ? known : undefined;
}

async function usableVersion(name: ServiceName, path: string): Promise<string | undefined> {
  const { versionArgument } = sources[name];
  const nothing = { stdout: "", stderr: "" };
  const { stdout, stderr } = await run(path, [versionArgument], { timeoutSeconds: 30 }).catch(() => nothing);
  // nginx prints it to standard error.
  const version = (parseVersion(stdout) ?? parseVersion(stderr))?.join(".");
  return version !== undefined && sources[name].isUsable(version) ? version : undefined;
}

/**
 * Finds a service on PATH, else unpacks it from the system's distribution, else builds it with Go.
 * @returns undefined if none of these is possible; the reason is printed.
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
  // Servers are often only on root's PATH.
  const onPath = await findOnPath(name, [process.env["PATH"], ...SERVER_DIRECTORIES].join(delimiter));
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
  onProgress(`${name} is not available here (${reasons.join("; ")}): ${sources[name].without}`);
  return undefined;
}

async function fromDebian(cache: string, name: ServiceName, onProgress: Progress): Promise<void> {
  if (!(await hasApt())) throw new Error("no apt-get of a Debian or Ubuntu");
  const { debianPackages, debianPath } = sources[name];
  onProgress(
    `Unpacking ${name} from the distribution's package ${debianPackages[0]} into ${join(cache, name)}`,
  );
  await installDirectory(cache, name, async (directory) => {
    const unpacked = join(directory, "package", debianPath);
    for (const debianPackage of debianPackages) {
      if (!existsSync(unpacked)) await unpackDebianPackage(debianPackage, join(directory, "package"));
    }
    const program = join(directory, "bin", name);
    await mkdir(dirname(program));
    await rename(unpacked, program);
    await chmod(program, 0o755);
  });
}

async function fromGo(cache: string, name: ServiceName, onProgress: Progress): Promise<void> {
  const { go: source } = sources[name];
  if (source === undefined) throw new Error("it is not built here");
  const go = await findGo();
  if (go === undefined) throw new Error("no Go");
  onProgress(`Building ${name} ${source.version} with Go into ${join(cache, name)} (half a minute)`);
  await installDirectory(cache, name, async (directory) => {
    const output = join(directory, "bin", name);
    await mkdir(dirname(output));
    await buildGoProgram(go, { ...source, output, limitSeconds: buildSeconds }, onProgress);
  });
}

/** Whether `ensureService` is expected to succeed: some source exists here. Fast, starts nothing. */
export function serviceIsObtainable(name: ServiceName, path = process.env["PATH"] ?? ""): boolean {
  const has = (program: string) =>
    path.split(":").some((dir) => dir !== "" && existsSync(join(dir, program)));
  return has(name) || (sources[name].go !== undefined && has("go")) || (has("apt-get") && has("dpkg"));
}
