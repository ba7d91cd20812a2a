import { readFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../lib/root";
import { NODE_SCRIPTS } from "../plan/node/paths";

/** Contents of the scripts that every node needs, by name. */
export function nodeScripts(): Record<string, string> {
  const directory = join(packageRoot(), "runtime");
  return Object.fromEntries(NODE_SCRIPTS.map((name) => [name, readFileSync(join(directory, name), "utf8")]));
}
