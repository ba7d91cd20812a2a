/** What is written from AIConfigurator's recorded answers. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { stackNames } from "../../cli/size/models";
import { withTables } from "../../dev/sizePage";
import { SIZED_MODELS } from "../../dev/sizeRecords";
import { realEngines } from "../../engines";
import { packageRoot } from "../../lib/root";
import { BEST_LAYOUTS } from "../../plan/usualPools";

it("docs/sizing.md has the tables that size draws of them: npx tsx dev/sizeTables.ts", async () => {
  const page = readFileSync(join(packageRoot(), "docs", "sizing.md"), "utf8");
  expect(page).toBe(await withTables(page));
});

it("a stack without pools finds a layout of every model that was asked about, on all its GPUs, for every engine", () => {
  const asked = SIZED_MODELS.flatMap(({ model, gpus }) =>
    stackNames(model).flatMap((name) =>
      gpus.flatMap((count) => realEngines().map((engine) => `${name}, ${engine}, ${count}`)),
    ),
  );
  const known = BEST_LAYOUTS.map(
    ({ model, engine, nodes, gpusPerNode }) => `${model}, ${engine}, ${nodes * gpusPerNode}`,
  );
  expect(known.toSorted()).toEqual(asked.toSorted());
});
