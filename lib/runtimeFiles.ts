/** The files that nodes run: the package's directory `runtime/`. */
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "./root";

/** Their directory on this machine. */
export function runtimeDirectory(): string {
  return join(packageRoot(), "runtime");
}

/** Their texts by name. */
export function runtimeFiles(): Record<string, string> {
  const directory = runtimeDirectory();
  const names = readdirSync(directory).filter((name) => /\.(py|sh|conf|txt)$/.test(name));
  return Object.fromEntries(names.sort().map((name) => [name, readFileSync(join(directory, name), "utf8")]));
}

/** A short digest of each, by name: a change of any makes another task. */
export function runtimeDigests(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(runtimeFiles()).map(([name, text]) => [
      name,
      createHash("sha256").update(text).digest("hex").slice(0, 8),
    ]),
  );
}

/**
 * Copies them to a directory. SkyPilot does not upload files listed in a `.gitignore` above the package, as
 * `node_modules` usually is.
 */
export function copyRuntime(to: string): void {
  mkdirSync(to, { mode: 0o700 });
  for (const [name, text] of Object.entries(runtimeFiles())) writeFileSync(join(to, name), text);
}
