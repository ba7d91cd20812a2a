/** Whether the nodes of a job run it. */
import { unitsState } from "../lib/nodeUnits";
import type { Launch } from "./launch";
import type { ClusterRecord, JobRecord } from "./records";
import { sharedConnection, sshShell } from "./ssh";

/** From the start of a job until its supervisors run: a second or two, more on nodes that are busy. */
const START_SECONDS = 30;
const ANSWER_SECONDS = 45;

/**
 * Waits for the supervisors of a job that should run. A node that does not answer is taken to be well: it may
 * be busy.
 *
 * @returns A node that has none; undefined if all have, or the job does not run yet.
 */
export async function unsupervised(
  { sky, context, input }: Launch,
  { nodes }: ClusterRecord,
  job: JobRecord,
): Promise<number | undefined> {
  if (job.status !== "RUNNING") return undefined;
  const connection = sharedConnection(sky.env);
  const limit = AbortSignal.timeout((START_SECONDS + ANSWER_SECONDS) * 1000);
  const signal = AbortSignal.any([context.signal, limit]);
  const asked = Array.from({ length: nodes ?? 1 }, (_, rank) =>
    unitsState(sshShell(input.cluster, rank, connection), START_SECONDS, signal),
  );
  const states = await Promise.allSettled(asked);
  context.signal.throwIfAborted();
  const empty = states.findIndex((one) => one.status === "fulfilled" && !one.value.supervisor);
  return empty < 0 ? undefined : empty;
}
