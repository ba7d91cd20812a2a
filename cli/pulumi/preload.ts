/** Preloads SkyPilot. */
import { writtenInfra } from "./writtenConfig";

/** Loads SkyPilot, which later queries need, while the engine starts. */
export async function preload(stack: string, cwd: string): Promise<void> {
  const infra = writtenInfra(stack, cwd);
  if (infra === undefined) return;
  // Loaded when it is needed; `import()` would bypass tsx's CommonJS hook.
  const { preloadSkyPilot } = require("../../sky/preloaded") as typeof import("../../sky/preloaded");
  await preloadSkyPilot(infra);
}
