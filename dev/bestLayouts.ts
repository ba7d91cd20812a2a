/**
 * `npx tsx dev/bestLayouts.ts`: writes plan/bestLayouts.json, the pools of stacks that say none, from what
 * AIConfigurator has answered to `size` (dev/recordSizes.ts).
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { bestLayouts } from "../cli/size/best";
import { packageRoot } from "../lib/root";
import { run } from "../lib/run";
import { sizeRecords } from "./sizeRecords";

const TABLE = join(packageRoot(), "plan", "bestLayouts.json");

async function write(): Promise<void> {
  const table = (await bestLayouts(sizeRecords())).map((layout) => `  ${JSON.stringify(layout)}`);
  writeFileSync(TABLE, `[\n${table.join(",\n")}\n]\n`);
  await run(join(packageRoot(), "node_modules", ".bin", "biome"), ["check", "--write", TABLE], {
    timeoutSeconds: 120,
  });
}

write().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
