import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { type Environment, pulumiHome } from "../../lib/dirs";
import { createPrivate } from "../../lib/files";

/** Location of the stacks' state, and the encryption of its secrets. */
export interface Backend {
  /** URL as in `PULUMI_BACKEND_URL`; undefined for the backend that the CLI is logged in to. */
  readonly url: string | undefined;
  /** True if no backend was chosen, so that it is this project's directory on this machine. */
  readonly isOwn: boolean;
  /** Variables with which the CLI uses it; printed by `dynamo-sky env`. */
  readonly env: Readonly<Record<string, string>>;
}

/** Backend of the last `pulumi login`. */
function loggedInBackend(env: Environment): string | undefined {
  try {
    const credentials: unknown = JSON.parse(readFileSync(join(pulumiHome(env), "credentials.json"), "utf8"));
    if (typeof credentials !== "object" || credentials === null || !("current" in credentials))
      return undefined;
    return typeof credentials.current === "string" && credentials.current !== ""
      ? credentials.current
      : undefined;
  } catch {
    return undefined;
  }
}

/** The passphrase of this machine's own state: generated once, readable by its owner only. */
function ensurePassphrase(file: string): void {
  // Never replaces one that another process has just created: that would lose secrets.
  if (!existsSync(file)) createPrivate(file, randomBytes(32).toString("base64url"));
}

/**
 * Chooses the backend: the user's (`PULUMI_BACKEND_URL`, `PULUMI_ACCESS_TOKEN`, `backend.url` of Pulumi.yaml,
 * `pulumi login`), else a directory below the state directory.
 * @param project Its directory, and `backend.url` of its Pulumi.yaml.
 */
export async function resolveBackend(
  env: Environment,
  state: string,
  project: { readonly directory: string; readonly backendUrl: string | undefined },
): Promise<Backend> {
  const chosen = env["PULUMI_BACKEND_URL"] || project.backendUrl || loggedInBackend(env);
  if (chosen !== undefined || env["PULUMI_ACCESS_TOKEN"]) return chosenBackend(chosen, project.directory);

  const directory = join(state, "pulumi");
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const url = `file://${directory}`;
  const hasPassphrase =
    env["PULUMI_CONFIG_PASSPHRASE"] !== undefined || env["PULUMI_CONFIG_PASSPHRASE_FILE"] !== undefined;
  if (hasPassphrase) return { url, isOwn: true, env: { PULUMI_BACKEND_URL: url } };
  const file = join(state, "passphrase");
  ensurePassphrase(file);
  return { url, isOwn: true, env: { PULUMI_BACKEND_URL: url, PULUMI_CONFIG_PASSPHRASE_FILE: file } };
}

/**
 * A backend chosen by the user. The CLI resolves a relative directory against its working directory, which
 * varies: so it is resolved against the project's directory here.
 */
function chosenBackend(url: string | undefined, projectDirectory: string): Backend {
  const relative = /^file:\/\/(\.[^?]*)(.*)$/.exec(url ?? "");
  if (relative === null) return { url, isOwn: false, env: {} };
  const [, path = "", query = ""] = relative;
  const absolute = `file://${resolve(projectDirectory, path)}${query}`;
  return { url: absolute, isOwn: false, env: { PULUMI_BACKEND_URL: absolute } };
}

/** Directory of a `file://` backend, if this process can read it; undefined for all others. */
export function backendDirectory(backend: Backend, env: Environment): string | undefined {
  if (!backend.url?.startsWith("file://")) return undefined;
  const path = backend.url.slice("file://".length).split("?")[0] ?? "";
  if (path.startsWith("~")) return join(env["HOME"] || homedir(), path.slice(1));
  return path.startsWith("/") ? path : undefined;
}

/** Whether stacks of this backend use a passphrase by default: all except Pulumi Cloud. */
export function usesPassphrase(backend: Backend): boolean {
  return backend.url !== undefined && !/^https?:/.test(backend.url);
}
