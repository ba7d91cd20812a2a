/**
 * What the Pulumi engine loads (`main` in package.json): pack.ts, bundled, as program.cjs does for the program.
 */
"use strict";
require("../../lib/pulumiSdk.cjs");

require("../../lib/bundle.cjs").load("observability/policy/pack");
