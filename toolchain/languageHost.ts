/**
 * Pulumi's language host for Node: the official one is part of its distribution, and not on Go's module
 * proxy.
 */
import { existsSync, realpathSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { packageRoot } from "../lib/root";

const PROGRAM = "pulumi-language-nodejs";

/** Directory of its stand-in. */
export function languageHostDirectory(): string {
  return join(packageRoot(), "toolchain", "plugins", "bin", "language");
}

/**
 * Directory to add to the engine's PATH for a language host: undefined if an official one is next to the CLI
 * or on PATH.
 * @param cli Path of the CLI, which looks in its own directory.
 */
export function languageHostOnPath(cli: string, path: string): string | undefined {
  const ours = languageHostDirectory();
  const besideCli = existsSync(cli) ? dirname(realpathSync(cli)) : dirname(cli);
  const directories = [besideCli, ...path.split(delimiter).filter((directory) => directory !== "")];
  const isThere = directories.some((directory) => directory !== ours && existsSync(join(directory, PROGRAM)));
  return isThere ? undefined : ours;
}
