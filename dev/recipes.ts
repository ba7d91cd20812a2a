/**
 * `npm run recipes`: renders the committed recipes and pictures from the stacks' plans; a test checks that
 * they are up to date.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { json, verb } from "../cli/command";
import { EXIT, exitCodes, runTool } from "../cli/commandLine";
import { readProject, stacksWithFiles } from "../cli/pulumi/project";
import { outOfDate, renderedFiles } from "../cli/recipe";
import { packageRoot } from "../lib/root";

function render(options: { readonly check: boolean; readonly json: boolean }): void {
  const root = packageRoot();
  const done = stacksWithFiles(readProject(root)).flatMap((stack) => {
    const files = renderedFiles(stack, root);
    const changed = outOfDate(files, root);
    for (const name of changed) {
      if (!options.check) write(join(root, name), files.get(name) ?? "");
      if (!options.json) console.log(options.check ? `${name} is out of date: npm run recipes` : name);
    }
    return [...files.keys()].map((file) => ({ stack, file, changed: changed.includes(file) }));
  });
  if (options.json) console.log(JSON.stringify({ files: done }, undefined, 2));
  if (options.check && done.some(({ changed }) => changed)) process.exitCode = EXIT.failed;
}

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

runTool(
  verb(
    "npm run recipes --",
    "Writes docs/pictures/NAME.svg of every stack, and the recipe of those that SkyPilot can run from one.",
    exitCodes({ ok: "it worked", failed: "out of date (--check)" }),
  )
    .option("--check", "write nothing; exit code 1 when a file is out of date", false)
    .addOption(json("{files:[{stack,file,changed}]}; with --check, changed is what is out of date"))
    .action(render),
);
