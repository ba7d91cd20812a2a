/** Pulumi's language host for Node: the official one belongs to its distribution, and is not on Go's module proxy. */
import { existsSync, realpathSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { packageRoot } from "../lib/root";

const PROGRAM = "pulumi-language-nodejs";

/** Directory of the stand-in for it. */
export function languageHostDirectory(): string {
  return join(packageRoot(), "toolchain", "plugins", "bin", "language");
}

/**
 * What has to be on the engine's PATH so that it finds a language host: undefined where an official one lies beside the CLI or on PATH.
 * @param cli Path of the CLI, which looks beside itself.
 */
export function languageHostOnPath(cli: string, path: string): string | undefined {
  const ours = languageHostDirectory();
  const besideCli = existsSync(cli) ? dirname(realpathSync(cli)) : dirname(cli);
  const directories = [besideCli, ...path.split(delimiter).filter((directory) => directory !== "")];
  const isThere = directories.some((directory) => directory !== ours && existsSync(join(directory, PROGRAM)));
  return isThere ? undefined : ours;
}
