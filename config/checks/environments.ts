import type { SettingPath } from "../problems";
import type { Known } from ".";

/** Every place in which a configuration sets environment variables. */
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
