/** The npm packages of a program, and which of them need a Pulumi plugin. */
import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { PackageDependency, PackageParameterization } from "@pulumi/pulumi/proto/plugin_pb";

interface Parameterization {
  readonly name: string;
  readonly version: string;
  /** Base64. */
  readonly value: string;
}

/** The fields read from a package.json. */
interface Manifest {
  readonly name?: string;
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly pulumi?: {
    /** Whether the package has resources, and so a plugin. */
    readonly resource?: boolean;
    readonly name?: string;
    readonly version?: string;
    /** Download site of the plugin, if it is not Pulumi's own. */
    readonly server?: string;
    readonly parameterization?: Parameterization;
  };
}

/** An installed package. */
export interface InstalledPackage {
  readonly name: string;
  readonly version: string;
}

function manifestIn(directory: string): Manifest | undefined {
  try {
    const manifest: unknown = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"));
    return typeof manifest === "object" && manifest !== null ? manifest : undefined;
  } catch {
    // Not a package, or one that Node cannot read either.
    return undefined;
  }
}

/** Names of a directory's entries, none if it does not exist. */
function entriesOf(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    return [];
  }
}

/**
 * Manifests of all packages below a directory's node_modules, without duplicates, including linked packages.
 */
function installedBelow(directory: string, seen = new Set<string>()): Manifest[] {
  const modules = join(directory, "node_modules");
  const directories = entriesOf(modules)
    .filter((name) => !name.startsWith("."))
    .flatMap((name) =>
      name.startsWith("@") ? entriesOf(join(modules, name)).map((part) => join(name, part)) : [name],
    )
    .map((name) => join(modules, name));
  return directories.flatMap((found) => {
    const path = existsSync(found) ? realpathSync(found) : undefined;
    const manifest = path === undefined || seen.has(path) ? undefined : manifestIn(path);
    if (path === undefined || manifest === undefined) return [];
    seen.add(path);
    return [manifest, ...installedBelow(path, seen)];
  });
}

/**
 * The plugins required by the installed packages. @throws Error for a package that needs one without giving
 * its name.
 */
export function requiredPackages(programDirectory: string): PackageDependency[] {
  return installedBelow(programDirectory).flatMap((manifest) => {
    const { pulumi, name = "", version = "" } = manifest;
    if (pulumi?.resource !== true) return [];
    const plugin = pulumi.name || (name.startsWith("@pulumi/") ? name.slice("@pulumi/".length) : "");
    if (plugin === "")
      throw new Error(`The package.json of ${name} has no pulumi.name: which plugin is its?`);
    const needed = pulumi.version || version;
    const dependency = new PackageDependency()
      .setName(plugin)
      .setKind("resource")
      .setVersion(needed.startsWith("v") ? needed : `v${needed}`)
      .setServer(pulumi.server ?? "");
    const { parameterization } = pulumi;
    return [
      parameterization === undefined
        ? dependency
        : dependency.setParameterization(
            new PackageParameterization()
              .setName(parameterization.name)
              .setVersion(parameterization.version)
              .setValue(parameterization.value),
          ),
    ];
  });
}

/** Directory of the nearest package.json, at the program's or above; the program's if there is none. */
export function packageDirectory(programDirectory: string): string {
  for (let directory = programDirectory; ; directory = dirname(directory)) {
    if (existsSync(join(directory, "package.json"))) return directory;
    if (directory === dirname(directory)) return programDirectory;
  }
}

/**
 * The installed dependencies of a program.
 * @param transitive Whether to include indirect ones.
 */
export function dependenciesOf(programDirectory: string, transitive: boolean): InstalledPackage[] {
  const directory = packageDirectory(programDirectory);
  const { dependencies = {}, devDependencies = {} } = manifestIn(directory) ?? {};
  const direct = new Set(Object.keys({ ...dependencies, ...devDependencies }));
  return installedBelow(directory).flatMap(({ name, version }) =>
    name !== undefined && version !== undefined && (transitive || direct.has(name))
      ? [{ name, version }]
      : [],
  );
}
