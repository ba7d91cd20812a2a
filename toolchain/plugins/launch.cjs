/**
 * Starts a plugin from one bundled file. The engine starts all of them for every preview and update.
 *
 * Usage: node launch.cjs command|random|language <engine address>
 */
"use strict";
const { flushCompileCache } = require("node:module");
const { load } = require("../../lib/bundle.cjs");

const [name] = process.argv.splice(2, 1);
load(`toolchain/plugins/${name}/main`, []);
// Compiled code would be written at exit, but the engine kills.
if (flushCompileCache) setTimeout(flushCompileCache, 1_000).unref();
