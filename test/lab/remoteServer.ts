/** A team's SkyPilot API server, which is not on its client's machine. */
import { spawn } from "node:child_process";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { installedSky } from "../../dev/lab/tools";
import { LAB, SKY_ENVIRONMENT } from "../../toolchain/labLayout";

const START_MS = 240_000;

/**
 * Another API server next to the lab's own, with its own home: like a team's, for a client.
 *
 * @returns The environment of its clients. It ends with the lab.
 */
export async function remoteApiServer(port: number): Promise<Readonly<Record<string, string>>> {
  const home = LAB.remoteHome;
  for (const path of [".slurm", ".sky/config.yaml", ".sky/catalogs"])
    cpSync(join(LAB.home, path), join(home, path), { recursive: true });
  const env = { ...SKY_ENVIRONMENT, HOME: home, SKYPILOT_API_SERVER_LOCAL_PORT: String(port) };
  // Its output is not read: the server, which keeps running, may hold it open.
  const options = { env: { ...process.env, ...env }, cwd: home, detached: true, stdio: "ignore" as const };
  spawn(installedSky(), ["api", "start"], options).unref();
  const endpoint = `http://127.0.0.1:${port}`;
  const isHealthy = () =>
    fetch(`${endpoint}/api/health`).then(
      ({ ok }) => ok,
      () => false,
    );
  for (const deadline = performance.now() + START_MS; !(await isHealthy()); await sleep(250)) {
    if (performance.now() > deadline) throw new Error(`the API server at ${endpoint} does not answer`);
  }
  return { SKYPILOT_API_SERVER_ENDPOINT: endpoint };
}
