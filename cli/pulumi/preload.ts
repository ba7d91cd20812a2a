/** SkyPilot, loaded ahead. */
import { writtenInfra } from "./writtenConfig";

/** What will be asked of SkyPilot needs it loaded, which can go on beside the start of the engine. */
export async function preload(stack: string, cwd: string): Promise<void> {
  const infra = writtenInfra(stack, cwd);
  if (infra === undefined) return;
  const { preloadSkyPilot } = await import("../../sky/preloaded.js");
  await preloadSkyPilot(infra);
}
