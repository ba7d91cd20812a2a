/**
 * What the Pulumi engine loads (`main` in package.json): pack.ts, through tsx, as program.cjs does for the
 * program.
 */
"use strict";
require("../../lib/runTypeScript.cjs");

require("./pack.ts");
