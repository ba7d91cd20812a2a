/**
 * What `pulumi up` loads (`main` in Pulumi.yaml): index.ts, through tsx. Left to itself Pulumi would use
 * ts-node, which checks every type again at every preview and update: ten seconds instead of one. `npm run
 * check` checks the types.
 */
"use strict";
require("./lib/runTypeScript.cjs");

module.exports = require("./index.ts");
