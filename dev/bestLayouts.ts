/**
 * `npx tsx dev/bestLayouts.ts`: writes plan/bestLayouts.json, the pools of stacks that say none, from what
 * AIConfigurator has answered to `size` (dev/recordSizes.ts).
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bestLayouts, type SizeRecord } from "../cli/size/best";
import { packageRoot } from "../lib/root";
import { run } from "../lib/run";

const RECORDS = join(packageRoot(), "test", "unit", "aiconfigurator");
const TABLE = join(packageRoot(), "plan", "bestLayouts.json");

async function write(): Promise<void> {
  const files = readdirSync(RECORDS).filter((file) => file.endsWith(".json"));
  const records = files.map((file) => JSON.parse(readFileSync(join(RECORDS, file), "utf8")) as SizeRecord);
  const table = (await bestLayouts(records)).map((layout) => `  ${JSON.stringify(layout)}`);
  writeFileSync(TABLE, `[\n${table.join(",\n")}\n]\n`);
  await run(join(packageRoot(), "node_modules", ".bin", "biome"), ["check", "--write", TABLE], {
    timeoutSeconds: 120,
  });
}

write().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
