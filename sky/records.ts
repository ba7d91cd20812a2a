/** What SkyPilot says in JSON (`-o json`), as far as it is used here. Other fields are let through unread. */
import { z } from "zod";
import { HUB_ANSWERS } from "../plan/hub";
import { MISSED } from "../plan/machines";

/** An entry of `sky status -o json`. */
export const clusterRecord = z.looseObject({
  name: z.string(),
  /** `INIT`, `UP`, `STOPPED` … */
  status: z.string(),
  cluster_hash: z.string(),
  nodes: z.number().nullish(),
  /** Unix time of the last launch. */
  launched_at: z.number().nullish(),
  /** Why a cluster is not up yet: `Launching (pending: Resources; partition: h100)`. */
  init_status_reason: z.string().nullish(),
  cloud: z.string().nullish(),
  region: z.string().nullish(),
  resources_str: z.string().nullish(),
  /** Address of the first node, where `records.py` was asked; `sky status -o json` does not say it. */
  head_ip: z.string().nullish(),
});
export type ClusterRecord = z.output<typeof clusterRecord>;
export const clusterRecords = z.array(clusterRecord);

/** An entry of `sky queue -o json`. */
export const jobRecord = z.looseObject({
  job_id: z.number(),
  job_name: z.string(),
  /** `INIT`, `PENDING`, `SETTING_UP`, `RUNNING`, or one of the final words. */
  status: z.string(),
  /** Unix time at which it began to run on its nodes, after their set-up; null before that. */
  start_at: z.number().nullish(),
});
export type JobRecord = z.output<typeof jobRecord>;
/** By name of the cluster; one that has no queue is left out. */
export const jobQueues = z.record(z.string(), z.array(jobRecord));

/** An entry of `sky api status -o json`. */
export const requestRecord = z.looseObject({
  request_id: z.string(),
  /** `sky.launch`, `sky.down` … */
  name: z.string(),
  status: z.string(),
});
export type RequestRecord = z.output<typeof requestRecord>;
export const requestRecords = z.array(requestRecord);

/** An entry of `sky cost-report -o json`. */
export const costRecord = z.looseObject({
  name: z.string(),
  cluster_hash: z.string().nullish(),
  /** Seconds. */
  duration: z.number().nullish(),
  /** US dollars for that duration. */
  total_cost: z.number().nullish(),
});
export const costRecords = z.array(costRecord);

/** Words for a job that is not over. https://docs.skypilot.co/en/latest/reference/job-queue.html */
const ACTIVE = new Set(["INIT", "PENDING", "SETTING_UP", "RUNNING"]);

export function isActive(job: JobRecord): boolean {
  return ACTIVE.has(job.status);
}

/**
 * Whether a job runs or will run by itself. One in `INIT` has only its number: whoever was about to submit it may be gone, and
 * then it stays so until SkyPilot calls it failed, minutes later.
 */
export function isUnderWay(job: JobRecord): boolean {
  return isActive(job) && job.status !== "INIT";
}

/** The job that was submitted last. */
export function latestJob(jobs: readonly JobRecord[]): JobRecord | undefined {
  return jobs.toSorted((a, b) => b.job_id - a.job_id)[0];
}

/**
 * The JSON in what a `sky` command printed: some print a line of prose before it.
 *
 * @throws SyntaxError when there is none.
 */
export function jsonIn(output: string): unknown {
  const start = output.search(/^[[{]/m);
  if (start < 0) throw new SyntaxError("no JSON in the output");
  return JSON.parse(output.slice(start));
}

/** What SkyPilot may take for some tasks, and what launches would fail at (`prices.py`). */
export const priceRecords = z.strictObject({
  prices: z.array(
    z.strictObject({
      candidates: z.array(
        z.strictObject({
          /** `aws/us-east-1`, for spot `aws/us-east-1/us-east-1a`. */
          infra: z.string(),
          instanceType: z.string(),
          /** US dollars for all nodes of the task; null where SkyPilot knows no price. */
          dollarsPerHour: z.number().nullable(),
        }),
      ),
      /** Why there are no candidates; null where there are some. */
      problem: z.string().nullable(),
      /** What the catalogs are sure not to have (`machines.py`). */
      misses: z.array(
        z.strictObject({
          infra: z.string(),
          cause: z.enum(MISSED),
          allowed: z.array(z.string()),
          instead: z.array(z.enum(MISSED)),
        }),
      ),
    }),
  ),
  obstacles: z.array(
    z.strictObject({
      infra: z.string(),
      why: z.string(),
      /** False where a launch would check again. */
      certain: z.boolean(),
    }),
  ),
  models: z.array(
    z.strictObject({
      model: z.string(),
      revision: z.string().nullable(),
      found: z.enum(HUB_ANSWERS),
      why: z.string().nullable(),
      bytes: z.number().nullable(),
    }),
  ),
});
export type PriceRecords = z.output<typeof priceRecords>;
