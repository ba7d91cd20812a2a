/** Policy packs (https://www.pulumi.com/docs/iac/crossguard/) of an operation. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fromCaller } from "../commandLine";
import { UsageProblem } from "./problem";

/** A policy pack, and its settings. */
export interface PolicyPackChoice {
  /** Directory of PulumiPolicy.yaml, absolute. */
  readonly directory: string;
  /** JSON file with the policies' settings, absolute. Default: the pack's own. */
  readonly configFile: string | undefined;
}

/**
 * The packs named by a command line.
 * @param directories As written, relative to the caller's working directory.
 * @param configFiles One per directory, or none at all, as the engine requires.
 * @throws UsageProblem if a directory is not a pack, or a file is missing.
 */
export function policyPackChoices(
  directories: readonly string[],
  configFiles: readonly string[],
): PolicyPackChoice[] {
  if (configFiles.length > 0 && configFiles.length !== directories.length) {
    throw new UsageProblem(
      `There are ${configFiles.length} --policy-pack-config for ${directories.length} --policy-pack: give one for each, or none.`,
    );
  }
  return directories.map((written, index) => {
    const directory = fromCaller(written);
    if (!existsSync(join(directory, "PulumiPolicy.yaml")))
      throw new UsageProblem(`--policy-pack ${written}: there is no PulumiPolicy.yaml in ${directory}.`);
    const file = configFiles[index];
    const configFile = file === undefined ? undefined : fromCaller(file);
    if (configFile !== undefined && !existsSync(configFile))
      throw new UsageProblem(`--policy-pack-config ${file}: there is no file ${configFile}.`);
    return { directory, configFile };
  });
}

/** The CLI's arguments for the packs. */
export function policyArguments(packs: readonly PolicyPackChoice[]): string[] {
  return packs.flatMap(({ directory, configFile }) => [
    ...["--policy-pack", directory],
    ...(configFile === undefined ? [] : ["--policy-pack-config", configFile]),
  ]);
}
