/** What the real SkyPilot answers to a script of this directory. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { packageRoot } from "../../lib/root";
import { interpreterOf } from "../../sky/interpreter";
import { ensureOwnSkyPilot } from "../../toolchain/skypilot";

/** The interpreter of a SkyPilot for clouds. */
export async function cloudsInterpreter(): Promise<string> {
  const command = await ensureOwnSkyPilot(["aws", "gcp"], (line) => process.stderr.write(`${line}\n`));
  return interpreterOf(command) ?? "";
}

export const skyScript = (name: string): string => join(packageRoot(), "test", "contract", name);

/** Gives a script JSON on its standard input. @returns The last line that it prints, which is JSON too. */
export async function skyAnswer<T>(script: string, input: unknown, home: string): Promise<T> {
  const asked = spawnSync(await cloudsInterpreter(), [skyScript(script)], {
    input: JSON.stringify(input),
    env: { ...process.env, HOME: home, SKYPILOT_DISABLE_USAGE_COLLECTION: "1" },
    encoding: "utf8",
    timeout: 240_000,
  });
  if (asked.status !== 0) throw new Error(asked.stderr);
  return JSON.parse(asked.stdout.trim().split("\n").at(-1) ?? "") as T;
}
