/** The task as a job of the cluster: waiting until it runs, telling why it does not, ending it. */
import { setTimeout as sleep } from "node:timers/promises";
import { UserError } from "../driver/errors";
import { poll } from "../driver/poll";
import { FAILURES, failureMessage } from "./failure";
import { failedPart } from "./jobLog";
import type { Launch } from "./launch";
import { leftRunning } from "./left";
import { isActive, isUnderWay, type JobRecord, latestJob } from "./records";

/** Each question goes to the cluster's head by ssh. */
const PAUSE_MS = 500;
const CANCEL_SECONDS = 120;
const LOG_SECONDS = 120;
const LOG_LINES = "300";

/**
 * Waits until the task's job runs on all nodes.
 *
 * @throws UserError with the last lines of what failed.
 */
export async function untilRunning(launch: Launch): Promise<JobRecord> {
  const { input, task, context, stages } = launch;
  let job: JobRecord | undefined;
  let asked = false;
  const missing = await poll({
    timeoutSeconds: Math.round(launch.secondsLeft()),
    progress: context.progress,
    signal: context.signal,
    check: async () => {
      if (asked) await sleep(PAUSE_MS, undefined, { signal: context.signal });
      asked = true;
      const jobs = (await launch.sky.jobs([input.cluster]))[input.cluster] ?? [];
      job = latestJob(jobs.filter(({ job_name }) => job_name === task.name));
      if (job === undefined) return "the job to appear in the queue";
      // A launch that was ended a moment too late: its job would hold the nodes for ever.
      await cancelJobs(
        launch,
        jobs.filter((other) => isUnderWay(other) && other.job_id < (job?.job_id ?? 0)),
      );
      if (job.status === "RUNNING") return undefined;
      if (!isActive(job)) throw await jobFailure(launch, job);
      stages.enter("starting");
      return `job ${job.job_id}, ${job.status === "SETTING_UP" ? "which is setting up the nodes" : job.status}`;
    },
  });
  if (missing === undefined && job !== undefined) return job;
  const { title, advice } = FAILURES.timeout;
  throw new UserError(
    [
      `The launch of ${input.cluster} failed: ${title} (${input.timeoutSeconds} s).`,
      `Cause: waited for ${missing ?? task.name}`,
      ...(job === undefined
        ? []
        : ["Last lines of its log:", ...(await jobLog(launch, job)).slice(-15).map((line) => `  ${line}`)]),
      await leftRunning(launch.sky, input.cluster),
      `Next: ${advice}`,
    ].join("\n"),
  );
}

async function jobFailure(launch: Launch, job: JobRecord): Promise<UserError> {
  const { input, sky } = launch;
  const { who, lines } = failedPart(await jobLog(launch, job), job.status);
  const kind = job.status === "FAILED_SETUP" ? "setup" : "run";
  const cause = `job ${job.job_id} ended as ${job.status}`;
  return new UserError(
    failureMessage(
      `The launch of ${input.cluster} failed`,
      { kind, cause },
      {
        source: `Last lines of ${who}`,
        lines,
        left: await leftRunning(sky, input.cluster),
      },
    ),
  );
}

/** The last lines of a job's log; empty when it cannot be had. */
async function jobLog({ input, sky }: Launch, job: JobRecord): Promise<readonly string[]> {
  const args = ["logs", "--no-follow", "--tail", LOG_LINES, input.cluster, String(job.job_id)];
  // Its exit code is that of the job.
  return (await sky.run(args, { timeoutSeconds: LOG_SECONDS })).lines;
}

/** Ends jobs and waits until they are over: on Slurm a node runs one task at a time. */
export async function cancelJobs(launch: Launch, jobs: readonly JobRecord[]): Promise<void> {
  if (jobs.length === 0) return;
  const { input, sky, context } = launch;
  const ids = jobs.map(({ job_id }) => job_id);
  context.progress.line(`ending job ${ids.join(", ")} of ${input.cluster}`);
  await sky.must(["cancel", "-y", input.cluster, ...ids.map(String)], CANCEL_SECONDS);
  const missing = await poll({
    timeoutSeconds: CANCEL_SECONDS,
    progress: context.progress,
    signal: context.signal,
    check: async () => {
      const now = (await sky.jobs([input.cluster]))[input.cluster] ?? [];
      const left = now.filter((job) => ids.includes(job.job_id) && isActive(job));
      return left.length === 0 ? undefined : `job ${left.map((job) => job.job_id).join(", ")} to end`;
    },
  });
  if (missing === undefined) return;
  throw new UserError(
    `${input.cluster}: waited ${CANCEL_SECONDS} s for ${missing}. See 'sky queue ${input.cluster}'; 'sky cancel ${input.cluster} --all' ends them.`,
  );
}
