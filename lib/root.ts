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

interface Manifest {
  readonly version: string;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional?: boolean }>>;
}

function manifest(): Manifest {
  return JSON.parse(readFileSync(join(packageRoot(), "package.json"), "utf8")) as Manifest;
}

/** The version in package.json. */
export function packageVersion(): string {
  return manifest().version;
}

/** The packages that only some verbs need, as `npm install` takes them. */
export function optionalPackages(): string {
  const { peerDependencies, peerDependenciesMeta } = manifest();
  const optional = Object.entries(peerDependencies).filter(([name]) => peerDependenciesMeta[name]?.optional);
  return optional.map(([name, range]) => `${name}@${range}`).join(" ");
}
