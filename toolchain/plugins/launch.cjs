/**
 * Starts a plugin from one bundled file, and bundles it first when its source has changed.
 *
 * The engine starts all of them for every preview and update. Through tsx that takes over a second each, from
 * a bundle a tenth of it. Plain JavaScript, because it runs before anything can be compiled.
 *
 * Usage: node launch.cjs command|random|language <engine address>
 */
"use strict";
const { createHash } = require("node:crypto");
const fs = require("node:fs");
const { createRequire, enableCompileCache, flushCompileCache } = require("node:module");
const os = require("node:os");
const path = require("node:path");

const root = path.resolve(__dirname, "../..");

/** Everything that a bundle depends on: our own source, and the versions of what is bundled with it. */
function sourceHash() {
  const hash = createHash("sha256");
  const files = fs.readdirSync(__dirname, { recursive: true, encoding: "utf8" });
  for (const file of files.filter((name) => /\.(ts|cjs)$/.test(name)).sort()) {
    hash.update(`\0${file}\0`).update(fs.readFileSync(path.join(__dirname, file)));
  }
  for (const name of [
    "@pulumi/pulumi",
    "@pulumi/command",
    "@pulumi/random",
    "@grpc/grpc-js",
    "google-protobuf",
  ]) {
    hash.update(require(`${name}/package.json`).version);
  }
  return hash.digest("hex").slice(0, 16);
}

/** Bundles into a file that appears whole or not at all, as several plugins may start at once. */
function bundle(name, outFile) {
  // esbuild comes with tsx, which runs all of this project's tools.
  const { buildSync } = createRequire(require.resolve("tsx/package.json"))("esbuild");
  const unfinished = `${outFile}.${process.pid}`;
  fs.mkdirSync(path.dirname(outFile), { recursive: true });
  buildSync({
    entryPoints: [path.join(__dirname, name, "main.ts")],
    outfile: unfinished,
    bundle: true,
    minify: true,
    keepNames: true,
    platform: "node",
    target: "node20",
    format: "cjs",
    logLevel: "error",
  });
  fs.renameSync(unfinished, outFile);
}

/** Where tools keep what they can make again: https://www.npmjs.com/package/find-cache-dir */
const cache = path.join(root, "node_modules", ".cache", "pulumi-plugins");
const compiled = path.join(cache, "compiled");

/** Bundles of earlier versions of the source; plugins that still run from one have it in memory. */
function removeOutdated(current) {
  for (const entry of fs.readdirSync(cache)) {
    const directory = path.join(cache, entry);
    if (directory !== current && directory !== compiled)
      fs.rmSync(directory, { recursive: true, force: true });
  }
}

/**
 * The bundle's path. Where the package's own directory cannot be written, the bundle lives as long as this
 * process.
 */
function bundleOf(name) {
  const file = path.join(cache, sourceHash(), `${name}.cjs`);
  if (fs.existsSync(file)) return file;
  try {
    bundle(name, file);
    removeOutdated(path.dirname(file));
    return file;
  } catch (error) {
    if (error.code !== "EACCES" && error.code !== "EROFS") throw error;
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "pulumi-plugin-"));
    process.on("exit", () => fs.rmSync(directory, { recursive: true, force: true }));
    const own = path.join(directory, `${name}.cjs`);
    bundle(name, own);
    return own;
  }
}

const [name] = process.argv.splice(2, 1);
const file = bundleOf(name);
// Compiled code is kept beside the bundle; Node 20 cannot do that. It would be written at exit, but the
// engine kills.
enableCompileCache?.(compiled);
require(file);
if (flushCompileCache) setTimeout(flushCompileCache, 1_000).unref();
