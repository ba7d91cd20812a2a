/** `sky down`: tears the cluster down, and waits until SkyPilot no longer lists it. */
import { rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { UserError } from "../lib/errors";
import { stopUnits } from "../lib/nodeUnits";
import { defineVerb, type VerbContext } from "../lib/verb";
import { Sky } from "./cli";
import { classify, failureMessage } from "./failure";
import { removeLaunchDirectories } from "./launchFiles";
import { findShells } from "./nodes";
import { rolloutDirectory } from "./rollout";
import { type SkyLease, skyLeaseSchema } from "./spec";
import { stillRunning } from "./stillRunning";

const PAUSE_MS = 5000;
/** Connecting to a node, and starting its agent. */
const REACH_SECONDS = 60;

export const verb = defineVerb({
  input: skyLeaseSchema,
  timeoutSeconds: ({ downTimeoutSeconds, drainSeconds = 0 }) =>
    downTimeoutSeconds + drainSeconds + REACH_SECONDS + 60,
  run: down,
});

async function down(input: SkyLease, context: VerbContext): Promise<void> {
  const { cluster, infra, downTimeoutSeconds, drainSeconds } = input;
  const sky = await Sky.find(infra, context);
  await removeLaunchDirectories(cluster);
  rmSync(rolloutDirectory(cluster), { recursive: true, force: true });
  if (drainSeconds !== undefined) await drain(sky, { cluster, infra, drainSeconds }, context);
  await takeDown(sky, cluster, downTimeoutSeconds, context);
}

/** Stops the programs of a cluster that runs. Whoever does not answer in time goes with the cluster. */
async function drain(
  sky: Sky,
  { cluster, infra, drainSeconds }: Required<Pick<SkyLease, "cluster" | "infra" | "drainSeconds">>,
  context: VerbContext,
): Promise<void> {
  const known = await sky.cluster(cluster);
  const shellOf = known?.status === "UP" ? await findShells(cluster, infra, context) : undefined;
  if (shellOf === undefined) return;
  const { progress, signal } = context;
  progress.line(`stopping the programs of ${cluster}`);
  const limit = AbortSignal.any([signal, AbortSignal.timeout((drainSeconds + REACH_SECONDS) * 1000)]);
  const ranks = Array.from({ length: known?.nodes ?? 1 }, (_, rank) => rank);
  await Promise.all(
    ranks.map((rank) =>
      stopUnits(shellOf(rank), [], limit).catch(() => {
        signal.throwIfAborted();
        progress.line(`node ${rank} does not answer: its programs end with it`);
      }),
    ),
  );
}

/** @throws UserError with what is left of it, where SkyPilot knows it still after that time. */
export async function takeDown(
  sky: Sky,
  cluster: string,
  timeoutSeconds: number,
  { progress, signal }: VerbContext,
): Promise<void> {
  const deadline = performance.now() + timeoutSeconds * 1000;
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
    failureMessage(`The teardown of ${cluster} failed within ${timeoutSeconds} s`, classify(lines, true), {
      lines: lines.slice(-10),
      running: await stillRunning(sky, cluster),
    }),
  );
}
