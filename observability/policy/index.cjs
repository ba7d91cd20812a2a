/**
 * What the Pulumi engine loads (`main` in package.json): pack.ts, bundled, as program.cjs does with index.ts.
 */
"use strict";
require("../../lib/pulumiSdk.cjs");

require("../../lib/bundle.cjs").load("observability/policy/pack");
