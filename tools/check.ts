/** `npm run check`: format, lint and types. Runs both even when the first fails, so that one run shows everything. */
import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";
import { EXIT, exitCodes, runTool } from "./commandLine";
import { packageRoot } from "./toolchain/index";

const usage = `Usage: npm run check

Formatter, linter and types, as CI runs them; 'npm run fix' mends what can be mended.

${exitCodes({ ok: "nothing to complain about", failed: "something is wrong" }, "the command is wrong")}`;

const checks = [
  { name: "format and lint", command: "biome", args: ["check", "--error-on-warnings", "."] },
  { name: "types", command: "tsc", args: ["--noEmit"] },
] as const;

function main(): void {
  const { values } = parseArgs({ options: { help: { type: "boolean", short: "h", default: false } } });
  if (values.help) {
    console.log(usage);
    return;
  }
  const failed = checks.filter(({ command, args }) => {
    const result = spawnSync(command, args, { cwd: packageRoot(), stdio: "inherit" });
    if (result.error) console.error(`${command} could not be started: ${result.error.message}`);
    return result.status !== 0;
  });
  for (const { name } of checks)
    console.log(`${name}: ${failed.some((check) => check.name === name) ? "failed" : "ok"}`);
  process.exitCode = failed.length > 0 ? EXIT.failed : EXIT.ok;
}

runTool(main, usage);
