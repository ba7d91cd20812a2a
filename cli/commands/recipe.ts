/** `dynamo-sky recipe`: the stack as a plain SkyPilot recipe for `sky launch` without Pulumi. */
import { CWD, NEEDED_STACK, verb } from "../command";
import { exitCodes } from "../commandLine";
import { renderStack } from "../recipe";

export const command = verb(
  "recipe",
  "Prints the recipe of a stack that is one SkyPilot cluster. Its first lines say how to launch it, reach it, ask it and end it.",
  exitCodes({ ok: "there is a recipe" }),
)
  .addOption(NEEDED_STACK)
  .addOption(CWD)
  .action(({ stack, cwd }) => {
    process.stdout.write(renderStack(stack, cwd));
  });
