/** `npm run schema [-- --check]`: writes the files generated from the configuration's schema. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { json as jsonOption, verb } from "../cli/command";
import { EXIT, exitCodes, runTool } from "../cli/commandLine";
import { CAUSES_FILE, renderCauses } from "./causeReference";
import { JSON_SCHEMA_FILE, REFERENCE_FILE, renderJsonSchema, renderReference } from "./configReference";

/** The files and their contents. */
const files = () =>
  [
    { file: JSON_SCHEMA_FILE, wanted: renderJsonSchema() },
    { file: REFERENCE_FILE, wanted: renderReference() },
    { file: CAUSES_FILE, wanted: renderCauses(readFileSync(join(__dirname, "..", CAUSES_FILE), "utf8")) },
  ] as const;

function generate({ check, json }: { readonly check: boolean; readonly json: boolean }): void {
  const say = (line: string) => (json ? undefined : console.log(line));
  const done = files().map(({ file, wanted }) => {
    const path = join(__dirname, "..", file);
    const changed = !existsSync(path) || readFileSync(path, "utf8") !== wanted;
    if (!changed) say(`${file}: up to date`);
    else if (check) {
      console.error(`${file}: out of date. Run: npm run schema`);
      process.exitCode = EXIT.failed;
    } else {
      writeFileSync(path, wanted);
      say(`${file}: written`);
    }
    return { file, changed };
  });
  if (json) console.log(JSON.stringify({ files: done }, undefined, 2));
}

runTool(
  verb(
    "npm run schema --",
    `Writes ${JSON_SCHEMA_FILE} and ${REFERENCE_FILE} again, from config, and the table of causes in ${CAUSES_FILE}, from sky/causes.ts.`,
    exitCodes({ ok: "it worked", failed: "out of date (--check)" }, "the command is wrong"),
  )
    .option("--check", "write nothing; exit code 1 when a file is out of date", false)
    .addOption(jsonOption("{files:[{file,changed}]}; with --check, changed is what is out of date"))
    .action(generate),
);
