import { readFileSync } from "node:fs";
import { join } from "node:path";
import { NODE_SCRIPTS } from "../node/paths";
import { packageRoot } from "../tools/toolchain/root";

/** Contents of the scripts that every node needs, by name. */
export function nodeScripts(): Record<string, string> {
  const directory = join(packageRoot(), "node");
  return Object.fromEntries(NODE_SCRIPTS.map((name) => [name, readFileSync(join(directory, name), "utf8")]));
}
