import { podVariables } from "../podConfig";
import type { SettingPath } from "../problems";
import { RUN_OPTIONS, runOptionWords } from "../runOptions";
import type { Known } from ".";

/** All settings of a configuration with environment variables. */
export function environments({
  engineEnv,
  pools,
  frontend,
  sky,
}: Known): { readonly path: SettingPath; readonly env: Readonly<Record<string, string>> | undefined }[] {
  return [
    { path: ["engineEnv"], env: engineEnv },
    ...(pools ?? []).map((pool, index) => ({ path: ["pools", index, "engineEnv"], env: pool.engineEnv })),
    { path: ["frontend", "env"], env: frontend?.env },
    { path: ["sky", "envs"], env: sky?.envs },
  ];
}

/**
 * Variables that SkyPilot's own configuration gives to the nodes' container: by `docker run`'s `--env`, and
 * by pods.
 */
export function containerEnvironments({
  sky,
}: Known): { readonly path: SettingPath; readonly env: Readonly<Record<string, string>> }[] {
  const options = runOptionWords(sky?.config).flatMap((word, index, words) => {
    const [, joined] = /^(?:-e=?|--env=)(.+)$/s.exec(word) ?? [];
    return joined ?? (/^(-e|--env)$/.test(word) ? (words[index + 1] ?? []) : []);
  });
  const pairs = options.map((option) => {
    const [name = "", ...value] = option.split("=");
    return [name, value.join("=")] as const;
  });
  const pods = (["kubernetes", "ssh"] as const).flatMap((section) => podVariables(sky?.config, section));
  return [
    { path: ["sky", "config", ...RUN_OPTIONS], env: Object.fromEntries(pairs) },
    ...pods.map(({ path, name, value }) => ({ path: ["sky", "config", ...path], env: { [name]: value } })),
  ];
}
