/** Runs `sky launch`, reports its stages, and watches why it waits. */

import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { UserError } from "../lib/errors";
import { writePrivate } from "../lib/files";
import { copyRuntime } from "../lib/runtimeFiles";
import { classify, explained, type Failure, LAST_LINES, launchFailure, permanentFailure } from "./failure";
import type { Launch } from "./launch";
import { makeLaunchDirectory } from "./launchFiles";
import { pauseBefore } from "./passing";
import { cancelRequests } from "./requests";
import { withSecrets } from "./secrets";
import type { SkyTask } from "./spec";
import type { Stage } from "./stages";
import { stillRunning } from "./stillRunning";
import { withRuntime } from "./task";
import { taskText } from "./taskText";

/** How often to ask for the reason while waiting for machines. */
const WATCH_EVERY_MS = 5000;
const LOG_SECONDS = 120;
/** Stages shortly before the end of a launch. */
const WARM: ReadonlySet<Stage> = new Set(["setting up", "syncing"]);

/**
 * Tries again where a bucket or a connection was away while files were copied.
 *
 * @throws UserError with why the cluster is not up, what is left of it, and what to do.
 */
export async function provision(launch: Launch, options: { readonly fast: boolean }): Promise<void> {
  const { context, stages } = launch;
  for (let attempt = 0; ; attempt++) {
    const failed = await launchOnce(launch, options);
    if (failed === undefined) return;
    const pause = pauseBefore({ stage: stages.stage, ...failed }, attempt, Math.random());
    if (pause === undefined || pause > launch.secondsLeft())
      throw await provisionFailure(launch, failed.failure, failed.lines);
    context.progress.line(`copying files failed (${failed.failure.cause}); again in ${pause.toFixed(0)} s`);
    await sleep(pause * 1000, undefined, { signal: context.signal });
  }
}

interface Failed {
  readonly failure: Failure;
  /** What `sky launch` printed. */
  readonly lines: readonly string[];
}

async function launchOnce(launch: Launch, { fast }: { readonly fast: boolean }): Promise<Failed | undefined> {
  const { input, task, sky, context, stages } = launch;
  const directory = await makeLaunchDirectory(input.cluster);
  const file = join(directory, "task.sky.yaml");
  const stop = new AbortController();
  try {
    const { task: given, args: secretArgs, env } = await withSecrets(input, directory);
    writePrivate(file, taskText(withFiles(given, directory)));
    const args = ["launch", "-y", "--detach-run", "-c", input.cluster, "-n", task.name];
    if (fast) args.push("--fast");
    if (input.retryUntilUp) args.push("--retry-until-up");
    stages.enter("optimising");
    const waits: Waits = {};
    const watch = watchReason(launch, stop, waits);
    const outcome = await sky.run([...args, ...secretArgs, file], {
      timeoutSeconds: launch.secondsLeft(),
      env,
      onLine: (line) => {
        stages.line(line);
        // The next query is for the job.
        if (WARM.has(stages.stage)) sky.warm();
      },
      signal: stop.signal,
    });
    stop.abort();
    context.signal.throwIfAborted();
    await watch;
    if (outcome.code === 0) return undefined;
    const isWaiting = outcome.code === undefined && stages.stage === "provisioning";
    const failure =
      waits.permanent ??
      (isWaiting ? whyWaited(waits.reason) : undefined) ??
      classify(outcome.lines, outcome.code === undefined);
    // Otherwise the request would go on in the API server.
    if (outcome.code === undefined) await cancelRequests(launch);
    return { failure, lines: outcome.lines };
  } finally {
    stop.abort();
    await rm(directory, { recursive: true, force: true });
  }
}

/** The task with the files of its nodes, if its `run` is a plan. */
function withFiles(task: SkyTask, directory: string): SkyTask {
  if (task.run === undefined || typeof task.run === "string") return task;
  const runtime = join(directory, "runtime");
  copyRuntime(runtime);
  return withRuntime(task, runtime);
}

/** SkyPilot's latest reason for waiting for machines. */
interface Waits {
  reason?: string;
  /** Set if waiting longer is useless. */
  permanent?: Failure;
}

/**
 * The failure of a launch that was stopped while waiting for machines; undefined if SkyPilot has given no
 * reason.
 */
function whyWaited(reason = ""): Failure | undefined {
  return /pending/i.test(reason)
    ? { kind: "capacity", cause: `it still waited at its time limit: ${reason}` }
    : undefined;
}

/** Reports why machines are not ready yet. Stops the launch if waiting is useless. */
async function watchReason(launch: Launch, stop: AbortController, waits: Waits): Promise<void> {
  const { input, sky, context, stages } = launch;
  while (!stop.signal.aborted) {
    await sleep(WATCH_EVERY_MS, undefined, { signal: stop.signal }).catch(() => undefined);
    if (stop.signal.aborted || stages.stage !== "provisioning") continue;
    const reason = (await sky.cluster(input.cluster).catch(() => undefined))?.init_status_reason ?? undefined;
    if (reason === undefined || stop.signal.aborted) continue;
    if (reason !== waits.reason) context.progress.line(`waiting for machines: ${reason}`);
    // Slurm's first evaluation of a job may differ from its next one, so the reason must be seen twice.
    const failure = reason === waits.reason ? permanentFailure(reason, input.retryUntilUp) : undefined;
    waits.reason = reason;
    if (failure === undefined) continue;
    waits.permanent = failure;
    stop.abort();
  }
}

async function provisionFailure(
  launch: Launch,
  failure: Failure,
  printed: readonly string[],
): Promise<UserError> {
  const { input, sky, stages } = launch;
  const atNodes = failure.kind === "setup" || failure.kind === "unknown" || failure.kind === "timeout";
  const log = atNodes ? await provisioningLog(launch) : [];
  const told = explained(failure, log);
  return launchFailure(input.cluster, `The launch of ${input.cluster} failed while ${stages.stage}`, told, {
    source: log.length > 0 ? "Last lines of the provisioning log" : "Last lines of sky launch",
    lines: (log.length > 0 ? log : printed).slice(-LAST_LINES),
    running: await stillRunning(sky, input.cluster),
  });
}

/** Output of `sky logs --provision`; empty if there is none. */
async function provisioningLog({ input, sky }: Launch): Promise<readonly string[]> {
  const args = ["logs", "--provision", "--no-follow", input.cluster];
  const outcome = await sky.run(args, { timeoutSeconds: LOG_SECONDS });
  return outcome.code === 0 ? outcome.lines : [];
}
