/** Dynamo and its services for tests that start programs themselves, without the driver. */
import { Progress } from "../../lib/progress";
import { findToolchain, type LocalToolchain, type ToolchainNeeds } from "../../local/toolchain";

const NONE = { services: false, gateway: false, planner: false, prometheus: false };

/** @param needs What is needed besides Dynamo and the model. */
export function toolchainWith(needs: Partial<ToolchainNeeds> = {}): Promise<LocalToolchain> {
  const progress = new Progress(() => undefined);
  const { signal } = new AbortController();
  const all = { ...NONE, model: "Qwen/Qwen3-8B", ...needs };
  return findToolchain(all, { progress, signal, result: () => undefined });
}
