import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Directory of this package (the one with package.json), for both its sources and its compiled form. */
export function packageRoot(): string {
  let dir = __dirname;
  while (!existsSync(join(dir, "package.json"))) {
    const parent = dirname(dir);
    if (parent === dir) throw new Error(`No package.json above ${__dirname}: the installation is incomplete`);
    dir = parent;
  }
  return dir;
}

/** The version in package.json. */
export function packageVersion(): string {
  const { version }: { version: string } = JSON.parse(
    readFileSync(join(packageRoot(), "package.json"), "utf8"),
  );
  return version;
}
