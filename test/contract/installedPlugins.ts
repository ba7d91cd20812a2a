/**
 * The plugins that the contract tests run against.
 *
 * By default those that the engine would use on this machine: the first on PATH, else the official ones in
 * Pulumi's plugin directory, else this repository's stand-ins. `DYNAMO_SKY_CONTRACT_PLUGINS=official` or
 * `stand-in` forces one kind; official plugins are then taken from PATH or from Pulumi's plugin directory,
 * and missing ones are an error.
 */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { version as commandVersion } from "@pulumi/command/package.json";
import { version as randomVersion } from "@pulumi/random/package.json";
import { packageRoot } from "../../toolchain";

/** Which plugins to test: `official`, `stand-in`, or unset. */
const CHOICE_VARIABLE = "DYNAMO_SKY_CONTRACT_PLUGINS";

/** Kind of a plugin. */
export type Kind = "official" | "stand-in";

/** One plugin to test. */
export interface InstalledPlugin {
  readonly kind: Kind;
  /** Its program. */
  readonly file: string;
}

/** Pulumi's own directory with the downloaded plugins. */
export const pulumiHome = process.env["PULUMI_HOME"] || join(homedir(), ".pulumi");

/** The plugins to test. */
export const plugins = {
  command: find("command", commandVersion),
  random: find("random", randomVersion),
} as const;

for (const [name, { kind, file }] of Object.entries(plugins)) {
  process.stdout.write(`Contract of the ${name} plugin: ${kind}, ${file}\n`);
}

/**
 * PATH on which an engine finds exactly these plugins. A plugin on PATH takes precedence over a downloaded
 * one.
 */
export function enginePath(): string {
  const directories = Object.values(plugins).map(({ file }) => dirname(file));
  return [...new Set(directories), process.env["PATH"] ?? ""].join(delimiter);
}

function find(name: string, version: string): InstalledPlugin {
  const choice = process.env[CHOICE_VARIABLE] || undefined;
  if (choice !== undefined && choice !== "official" && choice !== "stand-in") {
    throw new Error(`${CHOICE_VARIABLE} is ${JSON.stringify(choice)}; allowed: official, stand-in, or unset`);
  }
  const program = `pulumi-resource-${name}`;
  const standIn = join(packageRoot(), "toolchain", "plugins", "bin", program);
  const onPath = (process.env["PATH"] ?? "").split(delimiter).map((directory) => join(directory, program));
  const downloaded = join(pulumiHome, "plugins", `resource-${name}-v${version}`, program);
  const present = [...onPath, downloaded, standIn].filter((file) => existsSync(file));
  const found = present
    .map((file) => ({ kind: kindOf(file), file }))
    .find(({ kind }) => choice === undefined || kind === choice);
  if (found !== undefined) return found;
  throw new Error(
    `No ${choice ?? ""} ${program} is on PATH or at ${downloaded}. ` +
      `To install the official one: pulumi plugin install resource ${name} ${version}`,
  );
}

function kindOf(file: string): Kind {
  try {
    const printed = execFileSync(file, ["--version"], {
      encoding: "utf8",
      timeout: 20_000,
      stdio: ["ignore", "pipe", "ignore"],
    });
    return printed.includes("stand-in") ? "stand-in" : "official";
  } catch {
    // The official programs reject this argument.
    return "official";
  }
}
