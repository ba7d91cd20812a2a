/** The user of a container in SkyPilot's options of `docker run` (`docker.run_options`). */
import { shellWords } from "./shellWords";

/** Below `sky.config`. */
export const RUN_OPTIONS = ["docker", "run_options"] as const;

/** The options as SkyPilot reads them: a list, or one text. */
export function runOptions(config: unknown): readonly string[] {
  const docker = (config as { readonly docker?: { readonly run_options?: unknown } } | undefined)?.docker;
  return [docker?.run_options].flat().filter((option) => typeof option === "string");
}

/** Their words, as a shell reads them. */
export function runOptionWords(config: unknown): string[] {
  return runOptions(config).flatMap((option) => {
    const found = shellWords(option);
    return typeof found === "string" ? [] : found;
  });
}

/**
 * The user that they set, of whom Docker takes the last: `-u 1000`, `-u1000`, `--user=1000:1000`
 * (https://docs.docker.com/reference/cli/docker/container/run/#user). Undefined without one.
 */
export function userOfRunOptions(config: unknown): string | undefined {
  const words = runOptionWords(config);
  const users = words.flatMap((word, index) => {
    if (word === "-u" || word === "--user") return words[index + 1] ?? [];
    return /^(?:-u=?|--user=)(.+)$/.exec(word)?.[1] ?? [];
  });
  return users.at(-1);
}

/** `0`, `root`, `0:0`, `root:root`. */
export function isRootUser(user: string): boolean {
  return /^(0+|root)(:|$)/.test(user);
}
