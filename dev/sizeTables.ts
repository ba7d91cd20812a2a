/**
 * `npx tsx dev/sizeTables.ts`: writes the tables of docs/sizing.md, from what AIConfigurator has answered to
 * `size` (dev/recordSizes.ts).
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../lib/root";
import { withTables } from "./sizePage";

const PAGE = join(packageRoot(), "docs", "sizing.md");

async function write(): Promise<void> {
  writeFileSync(PAGE, await withTables(readFileSync(PAGE, "utf8")));
}

write().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
