/**
 * Which room may import from which: `npm run check` holds the code against it. Data goes one way,
 * configuration → plan → resources, and so do the imports; docs/decisions/0009-rooms.md says why.
 */
"use strict";

/** What each room may import from, besides itself and npm packages. */
const MAY_IMPORT = {
  lib: [],
  // One step together: what can be asked for, and what each engine makes of it. "no-cycles" keeps an engine's
  // files from the schema and its checks, which read the list of engines.
  engines: ["config", "lib"],
  config: ["engines", "lib"],
  plan: ["config", "engines", "lib"],
  toolchain: ["config", "engines", "lib"],
  local: ["toolchain", "plan", "config", "engines", "lib"],
  sky: ["toolchain", "plan", "config", "engines", "lib"],
  components: ["local", "sky", "toolchain", "plan", "config", "engines", "lib"],
  observability: ["plan", "config", "engines", "lib"],
  cli: ["observability", "components", "local", "sky", "toolchain", "plan", "config", "engines", "lib"],
  dev: [
    "cli",
    "observability",
    "components",
    "local",
    "sky",
    "toolchain",
    "plan",
    "config",
    "engines",
    "lib",
  ],
};

const rooms = Object.keys(MAY_IMPORT);
const anyOf = (names) => `^(${names.join("|")})/`;

module.exports = {
  forbidden: [
    ...rooms.map((room) => ({
      name: `${room}-imports-from-below`,
      comment: `${room}/ may import from ${MAY_IMPORT[room].join(", ") || "no other room"}.`,
      severity: "error",
      from: { path: `^${room}/` },
      to: {
        path: `${anyOf([...rooms, "test", "examples"])}|^index\\.ts$`,
        pathNot: anyOf([room, ...MAY_IMPORT[room]]),
      },
    })),
    {
      name: "plan-is-pure",
      comment: "The plan and the configuration know no Pulumi, and read no file, clock or environment.",
      severity: "error",
      from: { path: anyOf(["config", "engines", "plan"]) },
      to: { path: "^node_modules/@pulumi" },
    },
    {
      name: "plan-asks-nobody",
      comment: "Of Node's own modules they may have what computes alone. `process`: biome.json.",
      severity: "error",
      from: { path: anyOf(["config", "engines", "plan"]) },
      to: { dependencyTypes: ["core"], pathNot: "^(node:)?(net|path)$" },
    },
    {
      name: "engines-in-one-list",
      comment:
        "An engine is reached through the list, engines/index.ts, so that a new one needs nothing else.",
      severity: "error",
      from: { pathNot: "^(engines|test)/" },
      to: { path: "^engines/[^/]+/" },
    },
    {
      name: "published-with-what-it-imports",
      comment: "What the package holds has its own packages, or names them to who needs them (lib/root.ts).",
      severity: "error",
      from: { path: anyOf(rooms.filter((room) => room !== "dev")), pathNot: "^toolchain/plugins/" },
      to: { dependencyTypes: ["npm-dev"], dependencyTypesNot: ["npm", "npm-peer", "type-only"] },
    },
    {
      name: "no-cycles",
      comment: "A cycle of files, other than of types alone.",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^(dist|test/engine/fixtures)/" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: require("node:path").join(__dirname, "tsconfig.json") },
    enhancedResolveOptions: { extensions: [".ts", ".mts", ".cjs", ".mjs", ".js", ".json"] },
  },
};
