/** SkyPilot's API server of a lab. */
import { type Lab, skyEnvironmentOf } from "../../toolchain/labs";
import type { Daemon } from "./processes";

/** It imports every cloud's SDK and migrates its database on its first start. */
const START_SECONDS = 180;

export function skyPilotServer(lab: Lab, sky: string): Daemon {
  return {
    name: "api-server",
    command: [sky, "api", "start"],
    env: skyEnvironmentOf(lab),
    check: async () => {
      try {
        const answer = await fetch(`http://127.0.0.1:${lab.skyPilotPort}/api/health`, {
          signal: AbortSignal.timeout(5000),
        });
        return answer.ok ? undefined : `SkyPilot's API server to be healthy (HTTP ${answer.status})`;
      } catch {
        return "SkyPilot's API server";
      }
    },
    timeoutSeconds: START_SECONDS,
  };
}
