/** `sky down`: tears the cluster down, and waits until SkyPilot no longer lists it. */
import { rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { UserError } from "../lib/errors";
import { defineVerb, type VerbContext } from "../lib/verb";
import { Sky } from "./cli";
import { classify, failureMessage } from "./failure";
import { removeLaunchDirectories } from "./launchFiles";
import { rolloutDirectory } from "./rollout";
import { type SkyLease, skyLeaseSchema } from "./spec";
import { stillRunning } from "./stillRunning";

const PAUSE_MS = 5000;

export const verb = defineVerb({
  input: skyLeaseSchema,
  timeoutSeconds: ({ downTimeoutSeconds }) => downTimeoutSeconds + 60,
  run: down,
});

async function down({ cluster, infra, downTimeoutSeconds }: SkyLease, context: VerbContext): Promise<void> {
  const { progress, signal } = context;
  const sky = await Sky.find(infra, context);
  const deadline = performance.now() + downTimeoutSeconds * 1000;
  await removeLaunchDirectories(cluster);
  rmSync(rolloutDirectory(cluster), { recursive: true, force: true });
  // Also run if SkyPilot does not list the cluster: a launch that is just starting has no record yet.
  let lines: readonly string[] = [];
  for (;;) {
    const [known, busy] = await Promise.all([sky.cluster(cluster), sky.requests(cluster)]);
    if (known === undefined && !busy.some(({ name }) => name === "sky.launch")) {
      progress.line(`SkyPilot knows no cluster ${cluster}: nothing of it runs`);
      return;
    }
    const left = (deadline - performance.now()) / 1000;
    if (left <= 0) break;
    progress.line(`taking down ${cluster} (${known?.status ?? "being launched"})`);
    // No `--purge`: it makes SkyPilot forget machines that may still cost money.
    const outcome = await sky.run(["down", "-y", cluster], { timeoutSeconds: left });
    signal.throwIfAborted();
    lines = outcome.lines;
    if (outcome.code !== 0) await sleep(PAUSE_MS, undefined, { signal });
  }
  throw new UserError(
    failureMessage(
      `The teardown of ${cluster} failed within ${downTimeoutSeconds} s`,
      classify(lines, true),
      {
        lines: lines.slice(-10),
        running: await stillRunning(sky, cluster),
      },
    ),
  );
}
