import type { SettingPath } from "../problems";
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
