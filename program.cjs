/**
 * What `pulumi up` loads (`main` in Pulumi.yaml): index.ts, bundled. Left to itself Pulumi would use ts-node,
 * which checks every type again at every preview and update: ten seconds instead of one. `npm run check`
 * checks the types.
 */
"use strict";
require("./lib/pulumiSdk.cjs");

module.exports = require("./lib/bundle.cjs").load("index");
