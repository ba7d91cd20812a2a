/** `dynamo-sky env`: prints variables with which plain `pulumi` works in a shell like `npm run stack`. */
import { quoted } from "../../lib/shell";
import { CWD, json, NEEDED_STACK, verb } from "../command";
import { exitCodes } from "../commandLine";
import { openStack } from "../pulumi/openStack";

export const command = verb(
  "env",
  `Prints the export lines with which plain 'pulumi' works in this shell as 'npm run stack' does: where the CLI, its plugins and
the state are. eval "$(bin/dynamo-sky env --stack dev)"`,
  exitCodes({ ok: "printed", failed: "something that is needed cannot be installed" }),
)
  .addOption(NEEDED_STACK)
  .addOption(CWD)
  .addOption(json("{NAME: value}"))
  .action(async ({ stack, cwd, json: isJson }) => {
    const { environment } = await openStack({ projectDir: cwd, stack });
    const lines = Object.entries(environment).map(([name, value]) => `export ${name}=${quoted(value)}`);
    console.log(isJson ? JSON.stringify(environment, undefined, 2) : lines.join("\n"));
  });
