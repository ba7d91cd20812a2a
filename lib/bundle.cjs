/**
 * TypeScript of this repository as one file of JavaScript, made anew when one of its sources has changed.
 *
 *     node lib/bundle.cjs cli/internal/main local apply     runs cli/internal/main.ts with these arguments
 *
 * Pulumi starts dozens of programs in an update. Through tsx each takes half a second to load; bundled, a
 * quarter of that. Plain JavaScript, because it runs before anything can be compiled.
 */
"use strict";
const { createHash } = require("node:crypto");
const fs = require("node:fs");
const { createRequire, enableCompileCache } = require("node:module");
const path = require("node:path");

const root = path.dirname(__dirname);
/** Where tools keep what they can make again: https://www.npmjs.com/package/find-cache-dir */
const cache = path.join(root, "node_modules", ".cache", "bundles");
/** In place of the packages' own files. */
const PACKAGES = "package-lock.json";
const DAY_MS = 24 * 3600 * 1000;

/**
 * Packages that are loaded from where they are: all but those that our programs read first. Pulumi's SDK has
 * to be the one that the program's host has loaded.
 */
function usualExternal() {
  const { dependencies, devDependencies, peerDependencies } = require("../package.json");
  const names = Object.keys({ ...dependencies, ...devDependencies, ...peerDependencies });
  return names.filter((name) => name !== "yaml" && name !== "zod");
}

/** Hash of all that a bundle is made from. @throws Error if one of the files is gone. */
function hashOf(inputs) {
  const hash = createHash("sha256").update(root);
  for (const file of [...inputs, PACKAGES, "lib/bundle.cjs"])
    hash.update(`\0${file}\0`).update(fs.readFileSync(path.join(root, file)));
  return hash.digest("hex").slice(0, 16);
}

/** A file appears whole or not at all, as several programs may start at once. */
function write(file, text) {
  const unfinished = `${file}.${process.pid}`;
  fs.writeFileSync(unfinished, text);
  fs.renameSync(unfinished, file);
}

/** Bundles of earlier sources, but for those that a program may be about to load. */
function removeOutdated(name) {
  for (const entry of fs.readdirSync(cache)) {
    const file = path.join(cache, entry);
    const isOld = () => Date.now() - fs.statSync(file).mtimeMs > DAY_MS;
    if (entry.startsWith(`${name}-`) && isOld()) fs.rmSync(file, { force: true });
  }
}

function make(entry, name, list, external) {
  // esbuild comes with tsx, which runs all of this project's tools.
  const { buildSync } = createRequire(require.resolve("tsx/package.json"))("esbuild");
  const { metafile, outputFiles } = buildSync({
    absWorkingDir: root,
    entryPoints: [`${entry}.ts`],
    outdir: cache,
    write: false,
    metafile: true,
    bundle: true,
    external,
    // The package's own directory is looked for from here (root.ts); node_modules may be a link to another's.
    define: { __dirname: JSON.stringify(root) },
    keepNames: true,
    platform: "node",
    target: "node20",
    format: "cjs",
    logLevel: "error",
  });
  const inputs = Object.keys(metafile.inputs).filter((file) => !file.includes("node_modules/"));
  const file = path.join(cache, `${name}-${hashOf(inputs)}.cjs`);
  fs.mkdirSync(cache, { recursive: true });
  write(file, outputFiles[0].contents);
  write(list, JSON.stringify(inputs));
  removeOutdated(name);
  return file;
}

/** The bundle there is, if it is of the present sources. */
function made(name, list) {
  try {
    const file = path.join(cache, `${name}-${hashOf(JSON.parse(fs.readFileSync(list, "utf8")))}.cjs`);
    return fs.existsSync(file) ? file : undefined;
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
    return undefined;
  }
}

/** Loads `<entry>.ts`; through tsx where nothing can be kept. */
function load(entry, external = usualExternal()) {
  const name = entry.replaceAll("/", "-");
  const list = path.join(cache, `${name}.json`);
  // Compiled code is kept beside the bundles; Node 20 cannot do that.
  enableCompileCache?.(path.join(cache, "compiled"));
  let file;
  try {
    file = made(name, list) ?? make(entry, name, list, external);
  } catch (error) {
    if (error.code !== "EACCES" && error.code !== "EROFS") throw error;
    require("tsx/cjs");
    return require(path.join(root, `${entry}.ts`));
  }
  return require(file);
}

module.exports = { load };

if (require.main === module) {
  const [entry] = process.argv.splice(2, 1);
  load(entry);
}
