/** How the tests run what `npm run <tool>` and `dynamo-sky <verb>` run. */
import { join } from "node:path";
import { VERBS } from "../cli/verbs";
import { packageRoot } from "../lib/root";

/** The words of Node's command line: of a verb of `dynamo-sky`, or of a tool of those who work on this. */
export function toolWords(name: string, args: readonly string[] = []): string[] {
  const words = name in VERBS ? [join("cli", "main.ts"), name] : [join("dev", `${name}.ts`)];
  const [file = "", ...verb] = words;
  return ["--import", "tsx", join(packageRoot(), file), ...verb, ...args];
}

/** What `toolchain/bootstrap.mjs` is told for a command about a stack: those of Pulumi go through `stack`. */
export function stackCommand(name: string): string[] {
  return name in VERBS ? ["dynamo-sky", name] : ["stack", name];
}
