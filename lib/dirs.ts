import { homedir, userInfo } from "node:os";
import { join, resolve } from "node:path";

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
