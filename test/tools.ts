/** Runs the programs of `npm run <tool>` and `dynamo-sky <verb>` in tests. */
import { join } from "node:path";
import { VERBS } from "../cli/verbs";
import { packageRoot } from "../lib/root";

/** Node's arguments for a verb of `dynamo-sky`, or for a development tool. */
export function toolWords(name: string, args: readonly string[] = []): string[] {
  const words = name in VERBS ? [join("cli", "main.ts"), name] : [join("dev", `${name}.ts`)];
  const [file = "", ...verb] = words;
  return ["--require", "tsx/cjs", join(packageRoot(), file), ...verb, ...args];
}

/** Arguments of `toolchain/bootstrap.mjs` for a command about a stack: Pulumi's go through `stack`. */
export function stackCommand(name: string): string[] {
  return name in VERBS ? ["dynamo-sky", name] : ["stack", name];
}
