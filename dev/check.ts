/**
 * `npm run check`: format, lint, types and imports; Python by ruff. Runs all checks even if one fails, so
 * that one run reports everything.
 */
import { spawnSync } from "node:child_process";
import { json, verb } from "../cli/command";
import { EXIT, exitCodes, runTool } from "../cli/commandLine";
import { packageRoot } from "../toolchain/index";

const ROOMS = [
  ...[
    "lib",
    "engines",
    "config",
    "plan",
    "toolchain",
    "local",
    "sky",
    "components",
    "observability",
    "cli",
    "dev",
  ],
  "index.ts",
];

const checks = [
  { name: "format and lint", command: "biome", args: ["check", "--error-on-warnings", "."] },
  { name: "Python, width of comments and prose", command: "tsx", args: ["dev/style.ts"] },
  { name: "types", command: "tsc", args: ["--noEmit"] },
  {
    name: "imports",
    command: "depcruise",
    args: ["--config", ".dependency-cruiser.cjs", "--output-type", "err-long", ...ROOMS],
  },
] as const;

function check(asJson: boolean): void {
  const failed = checks.filter(({ command, args }) => {
    const output = asJson ? 2 : "inherit";
    const result = spawnSync(command, args, { cwd: packageRoot(), stdio: ["inherit", output, "inherit"] });
    if (result.error) console.error(`${command} could not be started: ${result.error.message}`);
    return result.status !== 0;
  });
  const results = checks.map((check) => ({ name: check.name, ok: !failed.includes(check) }));
  if (asJson) console.log(JSON.stringify({ checks: results }, undefined, 2));
  else for (const { name, ok } of results) console.log(`${name}: ${ok ? "ok" : "failed"}`);
  process.exitCode = failed.length > 0 ? EXIT.failed : EXIT.ok;
}

runTool(
  verb(
    "npm run check --",
    "Formatter, linter, types and imports between rooms, as CI runs them; 'npm run fix' mends what can be mended.",
    exitCodes({ ok: "nothing to complain about", failed: "something is wrong" }, "the command is wrong"),
  )
    .addOption(json("{checks:[{name,ok}]}; what is wrong goes to standard error"))
    .action(({ json: asJson }) => check(asJson)),
);
