/** Schemas of SkyPilot's JSON output (`-o json`). Fields that are not used pass through unchecked. */

import { z } from "zod";
import { HUB_ANSWERS } from "../plan/hub";
import { MISSED } from "../plan/machines";
import { OBSTACLE_KINDS } from "../plan/obstacles";

/** An entry of `sky status -o json`. */
export const clusterRecord = z.looseObject({
  name: z.string(),
  /** `INIT`, `UP`, `STOPPED` … */
  status: z.string(),
  cluster_hash: z.string(),
  /** Whether it was up once. */
  cluster_ever_up: z.boolean().nullish(),
  nodes: z.number().nullish(),
  /** Unix time of the last launch. */
  launched_at: z.number().nullish(),
  /** Why a cluster is not up yet: `Launching (pending: Resources; partition: h100)`; or no more. */
  init_status_reason: z.string().nullish(),
  cloud: z.string().nullish(),
  region: z.string().nullish(),
  resources_str: z.string().nullish(),
  /** Address of the first node, from `records.py`; `sky status -o json` does not have it. */
  head_ip: z.string().nullish(),
  /** Whether its machines are spot instances; from there too. */
  spot: z.boolean().nullish(),
});
export type ClusterRecord = z.output<typeof clusterRecord>;
export const clusterRecords = z.array(clusterRecord);

/**
 * Why a cluster that was up is so no more: `one or more nodes terminated`; undefined if SkyPilot does not
 * say. `_update_cluster_status` of
 * https://github.com/skypilot-org/skypilot/blob/v0.14.1/sky/backends/backend_utils.py
 */
export function whyAbnormal({ init_status_reason }: ClusterRecord): string | undefined {
  const said = /^Cluster is abnormal because (.+?)\. Transitioned to /s.exec(init_status_reason ?? "")?.[1];
  return said?.replace(/\s+/g, " ");
}

/** An entry of `sky queue -o json`. */
export const jobRecord = z.looseObject({
  job_id: z.number(),
  job_name: z.string(),
  /** `INIT`, `PENDING`, `SETTING_UP`, `RUNNING`, or a final status. */
  status: z.string(),
  /** Unix time at which it started on its nodes, after their set-up; null before that. */
  start_at: z.number().nullish(),
});
export type JobRecord = z.output<typeof jobRecord>;
/** By cluster name; a cluster without a queue is left out. */
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
const costRecord = z.looseObject({
  name: z.string(),
  cluster_hash: z.string().nullish(),
  /** Seconds. */
  duration: z.number().nullish(),
  /** US dollars for that duration. */
  total_cost: z.number().nullish(),
});
export const costRecords = z.array(costRecord);

/** Statuses of a job that has not ended. https://docs.skypilot.co/en/latest/reference/job-queue.html */
const ACTIVE = new Set(["INIT", "PENDING", "SETTING_UP", "RUNNING"]);

export function isActive(job: JobRecord): boolean {
  return ACTIVE.has(job.status);
}

/**
 * Whether a job runs, or will without further action. A job in `INIT` has only its number: if its submitter
 * is gone, it stays in `INIT` until SkyPilot marks it failed, minutes later.
 */
export function isUnderWay(job: JobRecord): boolean {
  return isActive(job) && job.status !== "INIT";
}

/** The job submitted last. */
export function latestJob<J extends Pick<JobRecord, "job_id">>(jobs: readonly J[]): J | undefined {
  return jobs.toSorted((a, b) => b.job_id - a.job_id)[0];
}

/**
 * The JSON in the output of a `sky` command: some print a line of prose before it.
 *
 * @throws SyntaxError if there is none.
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
          /** Whether it is a spot instance. */
          spot: z.boolean(),
          /** US dollars for all nodes of the task; null if SkyPilot has no price. */
          dollarsPerHour: z.number().nullable(),
        }),
      ),
      /** Why there are no candidates; null if there are some. */
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
      /** Why SkyPilot does not take the task at all; null if it does. */
      refused: z.string().nullable(),
    }),
  ),
  obstacles: z.array(
    z.strictObject({
      infra: z.string(),
      kind: z.enum(OBSTACLE_KINDS),
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
