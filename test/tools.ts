/** The file that `npm run <tool>` runs. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../lib/root";

/** In the rooms in which `toolchain/bootstrap.mjs` looks. @throws Error when there is no such tool. */
export function toolFile(tool: string): string {
  const files = ["dev", "cli/commands"].map((room) => join(packageRoot(), room, `${tool}.ts`));
  const file = files.find((path) => existsSync(path));
  if (file === undefined) throw new Error(`There is none of ${files.join(", ")}`);
  return file;
}
