/** Preloads SkyPilot. */
import { writtenInfra } from "./writtenConfig";

/** Loads SkyPilot, which later queries need, while the engine starts. */
export async function preload(stack: string, cwd: string): Promise<void> {
  const infra = writtenInfra(stack, cwd);
  if (infra === undefined) return;
  const { preloadSkyPilot } = await import("../../sky/preloaded.js");
  await preloadSkyPilot(infra);
}
