/**
 * Loads Pulumi's SDK without what nothing here needs: every preview and update loads it anew.
 *
 * The SDK loads the TypeScript compiler and, in older versions, npm's dependency resolver only to turn
 * functions into text for a cloud. They take most of its start, and so are loaded when something of them is
 * read.
 */
"use strict";
const { createRequire } = require("node:module");

const sdk = createRequire(require.resolve("@pulumi/pulumi/package.json"));

/** Path of a package that the SDK may load, or undefined if this version of it does without. */
function fileOf(name) {
  try {
    return sdk.resolve(name);
  } catch {
    return undefined;
  }
}

/** Puts an object in a package's place that loads the package at the first use. */
function loadLate(name) {
  const file = fileOf(name);
  if (file === undefined || file in require.cache) return;
  let loaded;
  const load = () => {
    if (loaded === undefined) {
      delete require.cache[file];
      loaded = sdk(name);
    }
    return loaded;
  };
  // Compiled TypeScript asks every package for `__esModule` while it loads it, and copies those without it.
  const exports = new Proxy(
    {},
    {
      get: (_, key) => (key === "__esModule" ? true : load()[key]),
      has: (_, key) => key in load(),
    },
  );
  require.cache[file] = { id: file, filename: file, loaded: true, exports, children: [], paths: [] };
}

for (const name of ["typescript", "@npmcli/arborist"]) loadLate(name);
require("@pulumi/pulumi");
