import { existsSync, mkdirSync, mkdtempSync, rmdirSync } from "node:fs";
import { homedir, userInfo } from "node:os";
import { dirname, join, resolve } from "node:path";
import { codeOf, UserError } from "./errors";

/** The variables of `process.env` that set directories. */
export type Environment = Readonly<Record<string, string | undefined>>;

function xdg(env: Environment, own: string, base: string, fallback: string): string {
  const explicit = env[own];
  if (explicit) return resolve(explicit);
  const xdgBase = env[base];
  return join(xdgBase || join(env["HOME"] || homedir(), fallback), "dynamo-sky");
}

/**
 * Cache directory for everything downloaded or built, which can be deleted at any time. `DYNAMO_SKY_CACHE`,
 * by default `${XDG_CACHE_HOME:-~/.cache}/dynamo-sky`.
 */
export function cacheDir(env: Environment = process.env): string {
  return xdg(env, "DYNAMO_SKY_CACHE", "XDG_CACHE_HOME", ".cache");
}

/**
 * Directory for data that must not be lost while a stack is up: the Pulumi state of stacks kept on this
 * machine, its passphrase, the directories of local clusters. `DYNAMO_SKY_STATE`, by default
 * `${XDG_STATE_HOME:-~/.local/state}/dynamo-sky`.
 */
export function stateDir(env: Environment = process.env): string {
  return xdg(env, "DYNAMO_SKY_STATE", "XDG_STATE_HOME", join(".local", "state"));
}

/**
 * The home directory in the password file, which may differ from `$HOME` in a container; null for an unknown
 * user.
 */
function homeOfPasswordFile(): string | null {
  try {
    return userInfo().homedir || null;
  } catch {
    return null;
  }
}

/**
 * Directory of the Pulumi CLI's logins and plugins, by its own rule: `PULUMI_HOME`, else `.pulumi` in the
 * home directory of the password file, else in `$HOME` (`GetPulumiHomeDir` in
 * sdk/go/common/workspace/paths.go, `current` in Go's os/user/lookup_stubs.go).
 */
export function pulumiHome(env: Environment = process.env, registered = homeOfPasswordFile()): string {
  return env["PULUMI_HOME"] || join(registered ?? (env["HOME"] || homedir()), ".pulumi");
}

/**
 * Makes a directory of this program's, with those above it that are missing. One by one: `recursive` of
 * Node's `mkdir` never ends in /proc.
 * @param what Begins the message; `variable` chooses another directory.
 * @throws UserError that says what is in the way.
 */
export function ensureDirectory(directory: string, what: string, variable: string): void {
  const missing: string[] = [];
  for (let path = directory; !existsSync(path); path = dirname(path)) missing.unshift(path);
  try {
    for (const path of missing) makeDirectory(path);
    // Only writing proves it: root is told that it may write to what is mounted read-only.
    rmdirSync(mkdtempSync(join(directory, ".writable-")));
  } catch (error) {
    const code = codeOf(error);
    const why = (code === undefined ? undefined : REASONS[code]) ?? `cannot be used (${code})`;
    throw new UserError(
      `${what} ${directory} ${why}. Set ${variable} to a directory that you can write to, or mend this one.`,
    );
  }
}

/** Another process may make it at the same time. */
function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOTDIR: "is a file, or below one",
  EACCES: "cannot be written to: permission denied",
  EPERM: "cannot be written to: operation not permitted",
  EROFS: "is on a file system that is read-only",
  ENOENT: "is where no directory can be made",
  ENOSPC: "is on a disk that is full",
};

/** Checks the two before anything is downloaded or started. */
export function ensureOwnDirectories(env: Environment = process.env): void {
  ensureDirectory(stateDir(env), "The directory of states", "DYNAMO_SKY_STATE");
  ensureDirectory(cacheDir(env), "The cache", "DYNAMO_SKY_CACHE");
}
