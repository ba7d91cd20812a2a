/**
 * Loaded before a program: errors are shown without colours. The SDK asks for colours also where nobody sees
 * them; and with them Node (22.23.3, lib/internal/util/inspect.js, markNodeModules) never ends at a place
 * such as `node_modules/@pulumi/output.ts`, which the SDK's source maps make.
 */
"use strict";
const util = require("node:util");

const { inspect } = util;
util.inspect = Object.assign(
  (value, ...options) => inspect(value, ...(value instanceof Error ? [{ colors: false }] : options)),
  inspect,
);
