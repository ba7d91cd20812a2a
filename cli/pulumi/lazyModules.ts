import Module from "node:module";
import { join, sep } from "node:path";

/**
 * Modules that `@pulumi/pulumi` loads at once and needs only to serialise functions for dynamic providers. They take more
 * than half a second, most of the time of a preview that finds no change.
 */
const lazy = new Set(["typescript", "@npmcli/arborist"]);
const owner = join("node_modules", "@pulumi", "pulumi") + sep;

/** Node's loader, an undocumented but long-standing part of `node:module`. */
interface Loader {
  _load(request: string, parent: { readonly filename?: string | null } | undefined, isMain: boolean): unknown;
}

function hasLoader(module: unknown): module is Loader {
  return typeof module === "function" && "_load" in module && typeof module._load === "function";
}

/** Stands for a module until one of its members is asked for. */
function onFirstUse(load: () => unknown): unknown {
  let loaded: object | undefined;
  const members = (): object => {
    loaded ??= Object(load()) as object;
    return loaded;
  };
  return new Proxy(
    {},
    {
      // Without this mark, a compiled `import * as` would copy all members, and so load the module.
      get: (_, key) => (key === "__esModule" ? true : Reflect.get(members(), key)),
      has: (_, key) => Reflect.has(members(), key),
    },
  );
}

/** To be called before `@pulumi/pulumi` is first loaded; later it has no effect. */
export function loadHeavyModulesOnFirstUse(): void {
  const loader: unknown = Module;
  if (!hasLoader(loader)) return;
  const original = loader._load;
  loader._load = function (request, parent, isMain) {
    const load = () => original.call(this, request, parent, isMain);
    return lazy.has(request) && parent?.filename?.includes(owner) ? onFirstUse(load) : load();
  };
}
