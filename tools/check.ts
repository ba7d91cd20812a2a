/** `npm run check`: format, lint and types. Runs both even when the first fails, so that one run shows everything. */
import { spawnSync } from "node:child_process";
import { packageRoot } from "./toolchain/index";

const checks = [
  { name: "format and lint", command: "biome", args: ["check", "--error-on-warnings", "."] },
  { name: "types", command: "tsc", args: ["--noEmit"] },
] as const;

const failed = checks.filter(({ command, args }) => {
  const result = spawnSync(command, args, { cwd: packageRoot(), stdio: "inherit" });
  if (result.error) console.error(`${command} could not be started: ${result.error.message}`);
  return result.status !== 0;
});
for (const { name } of checks)
  console.log(`${name}: ${failed.some((check) => check.name === name) ? "failed" : "ok"}`);
process.exitCode = failed.length > 0 ? 1 : 0;
