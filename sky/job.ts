/** The task as a job of the cluster: waits until it runs, reports why it does not, cancels it. */
import type { UserError } from "../lib/errors";
import { poll } from "../lib/poll";
import { ask } from "../lib/probe";
import type { Probe } from "../plan/types";
import { hostAndPort } from "./endpoint";
import { explained, LAST_LINES, launchFailure } from "./failure";
import { failedPart } from "./jobLog";
import type { Launch } from "./launch";
import { isActive, isUnderWay, type JobRecord, latestJob } from "./records";
import { stillRunning } from "./stillRunning";

/**
 * Reading a queue may start a Python process on the cluster's head (on Slurm it does), which takes CPU time
 * from the programs being started. So the pause after each query is twice its duration, within these bounds.
 */
const PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
const CANCEL_SECONDS = 120;
const LOG_SECONDS = 120;
const LOG_LINES = "300";

/**
 * Waits until the task's job runs on all nodes.
 *
 * @param endpoint Listens once the job runs, if it is on this cluster; checking it is cheap.
 * @throws UserError with the last lines of what failed.
 */
export async function untilRunning(launch: Launch, endpoint: string): Promise<JobRecord> {
  const { input, task, context, stages } = launch;
  let job: JobRecord | undefined;
  let seen: string | undefined = "its queue to tell of the job";
  const isDue = questionTimes(endpoint, context.signal);
  const look = async (): Promise<string | undefined> => {
    const jobs = (await launch.sky.jobs([input.cluster]))[input.cluster] ?? [];
    job = latestJob(jobs.filter(({ job_name }) => job_name === task.name));
    if (job === undefined) return "the job to appear in the queue";
    const { job_id, status } = job;
    // A launch that was cancelled too late: its job would hold the nodes for ever.
    await cancelJobs(
      launch,
      jobs.filter((other) => isUnderWay(other) && other.job_id < job_id),
    );
    if (status === "RUNNING") return undefined;
    if (!isActive(job)) throw await jobFailure(launch, job);
    stages.enter("starting");
    return `job ${job_id}, ${status === "SETTING_UP" ? "which is setting up the nodes" : status}`;
  };
  const missing = await poll({
    timeoutSeconds: Math.round(launch.secondsLeft()),
    progress: context.progress,
    signal: context.signal,
    check: async () => {
      const answered = await isDue();
      if (answered === undefined) return seen;
      seen = await look();
      answered();
      return seen;
    },
  });
  if (missing === undefined && job !== undefined) return job;
  const log = job === undefined ? [] : (await jobLog(launch, job)).slice(-LAST_LINES);
  const failure = { kind: "timeout", cause: `waited for ${missing ?? task.name}` } as const;
  throw launchFailure(
    input.cluster,
    `The launch of ${input.cluster} failed after ${input.timeoutSeconds} s`,
    explained(failure, log),
    { source: "Last lines of its log", lines: log, running: await stillRunning(launch.sky, input.cluster) },
  );
}

/**
 * Decides when to query the queue: after a pause, or as soon as the endpoint listens.
 *
 * @returns Callback for when the query is answered; undefined if it is not time yet.
 */
function questionTimes(endpoint: string, signal: AbortSignal) {
  const probe: Probe = { kind: "tcp", ...hostAndPort(endpoint) };
  let next = performance.now() + PAUSE_MS;
  let listens = false;
  return async (): Promise<(() => void) | undefined> => {
    const listened = listens;
    listens = (await ask(probe, {}, signal)) === undefined;
    const asked = performance.now();
    if (asked < next && (listened || !listens)) return undefined;
    return () => {
      const took = performance.now() - asked;
      next = performance.now() + Math.min(LONGEST_PAUSE_MS, Math.max(PAUSE_MS, 2 * took));
    };
  };
}

async function jobFailure(launch: Launch, job: JobRecord): Promise<UserError> {
  const { input, sky } = launch;
  const { who, lines } = failedPart(await jobLog(launch, job), job.status);
  const kind = job.status === "FAILED_SETUP" ? "setup" : "run";
  const cause = `job ${job.job_id} ended as ${job.status}`;
  return launchFailure(
    input.cluster,
    `The launch of ${input.cluster} failed`,
    explained({ kind, cause }, lines),
    { source: `Last lines of ${who}`, lines, running: await stillRunning(sky, input.cluster) },
  );
}

/** The last lines of a job's log; empty if it cannot be read. */
async function jobLog({ input, sky }: Launch, job: JobRecord): Promise<readonly string[]> {
  const args = ["logs", "--no-follow", "--tail", LOG_LINES, input.cluster, String(job.job_id)];
  // Its exit code is the job's.
  return (await sky.run(args, { timeoutSeconds: LOG_SECONDS })).lines;
}

/**
 * Cancels jobs and waits for their end: on Slurm a node runs one task at a time, and the next one waits for
 * it.
 */
export async function cancelJobs({ input, sky, context }: Launch, jobs: readonly JobRecord[]): Promise<void> {
  if (jobs.length === 0) return;
  const ids = jobs.map(({ job_id }) => job_id);
  context.progress.line(`ending job ${ids.join(", ")} of ${input.cluster}`);
  await sky.must(["cancel", "-y", input.cluster, ...ids.map(String)], CANCEL_SECONDS);
}
