/**
 * `npm run schema`: writes what is generated from the configuration's schema. With `--check` nothing is written, and the
 * exit code is 1 when a file is out of date.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { JSON_SCHEMA_FILE, REFERENCE_FILE, renderJsonSchema, renderReference } from "./configReference";

const root = join(__dirname, "..");
const isCheck = process.argv.includes("--check");

for (const [file, wanted] of [
  [JSON_SCHEMA_FILE, renderJsonSchema()],
  [REFERENCE_FILE, renderReference()],
] as const) {
  const path = join(root, file);
  if (existsSync(path) && readFileSync(path, "utf8") === wanted) {
    console.log(`${file}: up to date`);
  } else if (isCheck) {
    console.error(`${file}: out of date. Run: npm run schema`);
    process.exitCode = 1;
  } else {
    writeFileSync(path, wanted);
    console.log(`${file}: written`);
  }
}
