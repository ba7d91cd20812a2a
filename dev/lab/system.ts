/** Requirements of the lab: Debian's packages, and root to install them. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { isAbsolute, join } from "node:path";
import { UserError } from "../../lib/errors";
import type { Progress } from "../../lib/progress";

const SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const APT_TIMEOUT_MS = 600_000;
const LAST_LINES = 8;
/** dpkg's own placeholders, not TypeScript's. */
const DPKG_FORMAT = "$" + "{Package} $" + "{db:Status-Abbrev}\\n";

/** Why this machine cannot run a lab; undefined if it can. */
export function whyNoLab(): string | undefined {
  if (process.platform !== "linux")
    return `it needs Linux with Debian's packages, and this is ${process.platform}`;
  if (process.getuid?.() !== 0)
    return "it needs root (its daemons, /etc/hosts or a network of its own), and this user is not root";
  if (findProgram("apt-get") === undefined)
    return "it needs Debian or Ubuntu (apt-get), and this system has none";
  const release = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
  if (!/^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(release))
    return "it needs Debian or Ubuntu, and this is another system";
  return undefined;
}

/** What both labs take beside each other and all other tests: with less, waits run into their limits. */
const BOTH_LABS = { processors: 4, gigabytes: 15 };

/** Why the tests of both labs do not run beside each other here; undefined if they can. */
export function whyNotBothLabs(
  { processors, gigabytes, go } = {
    processors: availableParallelism(),
    gigabytes: totalmem() / 1e9,
    go: findProgram("go"),
  },
): string | undefined {
  if (go === undefined) return "Kubernetes is built with Go, and there is no 'go' on PATH";
  if (processors < BOTH_LABS.processors)
    return `both labs together need ${BOTH_LABS.processors} processors, and this machine has ${processors}`;
  if (gigabytes < BOTH_LABS.gigabytes)
    return `both labs together need ${BOTH_LABS.gigabytes} GB of memory, and this machine has ${Math.floor(gigabytes)}`;
  return undefined;
}

/** @throws UserError that says why this machine cannot run a lab. */
export function requireLabMachine(): void {
  const reason = whyNoLab();
  if (reason !== undefined) throw new UserError(`The lab cannot run on this machine: ${reason}.`);
}

/**
 * Installs the packages that are missing, and notes them in the lab's directory, which is made, for `down`.
 *
 * @param packages Each with programs, or paths, that show its presence.
 */
export function ensurePackages(
  root: string,
  packages: Readonly<Record<string, readonly string[]>>,
  progress: Progress,
): void {
  const missing = missingPackages(packages);
  mkdirSync(root, { recursive: true, mode: 0o755 });
  if (missing.length > 0) recordInstalled(root, installPackages(missing, progress));
}

/** Links programs into a directory, so that they follow upgrades of the toolchain. */
export function linkPrograms(directory: string, programs: Readonly<Record<string, string>>): void {
  for (const [name, target] of Object.entries(programs)) {
    const path = join(directory, name);
    rmSync(path, { force: true });
    symlinkSync(target, path);
  }
}

/** Packages whose programs are missing. */
function missingPackages(packages: Readonly<Record<string, readonly string[]>>): string[] {
  return Object.entries(packages)
    .filter(([, programs]) => programs.some((program) => findProgram(program) === undefined))
    .map(([name]) => name);
}

/**
 * Installs the packages with apt, without starting their services. @returns The installed packages, including
 * dependencies.
 */
function installPackages(packages: readonly string[], progress: Progress): string[] {
  const before = installedPackages();
  progress.line(`installing from the system's package archive: ${packages.join(", ")}`);
  apt(["update", "-q"]);
  apt(["install", "-y", "-q", "--no-install-recommends", ...packages]);
  const after = [...installedPackages()].filter((name) => !before.has(name));
  progress.line(`installed ${after.length} packages: ${after.join(", ")}`);
  return after;
}

/** Names of the packages that a lab has installed, which `down` prints. */
export function installedRecord(root: string): string[] {
  const path = join(root, "installed-packages");
  return existsSync(path) ? readFileSync(path, "utf8").split("\n").filter(Boolean) : [];
}

function recordInstalled(root: string, packages: readonly string[]): void {
  const all = [...installedRecord(root), ...packages];
  writeFileSync(join(root, "installed-packages"), all.map((name) => `${name}\n`).join(""));
}

/** Path of a program, also in the directories of daemons. */
export function findProgram(name: string): string | undefined {
  if (isAbsolute(name)) return existsSync(name) ? name : undefined;
  return `${SYSTEM_PATH}:${process.env["PATH"] ?? ""}`
    .split(":")
    .map((directory) => `${directory}/${name}`)
    .find((path) => existsSync(path));
}

/** Whether the password file has a user of this name. */
function userExists(name: string): boolean {
  return readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .some((line) => line.startsWith(`${name}:`));
}

/**
 * Creates the lab's user if it does not exist. `*` is a password that matches nothing; a locked one would
 * reject keys too.
 */
export function ensureUser(name: string, home: string): void {
  if (userExists(name)) return;
  const identity = ["--non-unique", "--uid", "0", "--gid", "0"];
  const rest = ["--no-create-home", "--home-dir", home, "--shell", "/bin/bash", "--password", "*"];
  execFileSync("useradd", [...identity, ...rest, name], { stdio: ["ignore", "ignore", "pipe"] });
}

/** Removes the lab's user. Forced, because root's processes count as its own. */
export function removeUser(name: string): void {
  if (userExists(name)) execFileSync("userdel", ["--force", name], { stdio: ["ignore", "ignore", "ignore"] });
}

function installedPackages(): Set<string> {
  const listing = execFileSync("dpkg-query", ["-W", "-f", DPKG_FORMAT], {
    encoding: "utf8",
  });
  return new Set(listing.split("\n").flatMap((line) => (/ ii/.test(line) ? (line.split(" ")[0] ?? []) : [])));
}

function apt(args: readonly string[]): void {
  // Debian's packages start their services when installed, unless a policy forbids it: the lab starts its
  // own.
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
  const result = spawnSync("apt-get", args, { encoding: "utf8", env, timeout: APT_TIMEOUT_MS });
  if (result.status === 0) return;
  const output = `${result.stdout}${result.stderr}`.trimEnd().split("\n").slice(-LAST_LINES).join("\n");
  throw new UserError(`apt-get ${args.join(" ")} failed:\n${output}\nRepair that, then run it again.`);
}
