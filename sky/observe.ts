/** `sky observe`: what of a deployment's clusters really runs: all of them in one call. Changes nothing. */
import { defineVerb, type VerbContext } from "../driver/verb";
import { Sky } from "./cli";
import { latestJob } from "./records";
import { skyObserveSchema } from "./spec";

/** One cluster, as it was seen. */
export interface ObservedSkyCluster {
  /** SkyPilot's word: `UP`, `INIT`, `STOPPED`. */
  readonly status: string;
  readonly clusterHash: string;
  /** The job that was submitted last, and SkyPilot's word for it; absent where there is none. */
  readonly job?: { readonly name: string; readonly status: string };
}

/** By full name; only clusters that SkyPilot knows. */
export type ObservedSkyClusters = Readonly<Record<string, ObservedSkyCluster>>;

export const verb = defineVerb({
  input: skyObserveSchema,
  timeoutSeconds: ({ timeoutSeconds }) => timeoutSeconds,
  run: async (input, context) => context.result(await observeSky(input, context)),
});

/** All clusters whose name begins with the prefix. */
export async function observeSky(
  { prefix, infra, refresh }: { prefix: string; infra: readonly string[]; refresh: boolean },
  context: VerbContext,
): Promise<ObservedSkyClusters> {
  const sky = await Sky.find(infra, context);
  try {
    return await observeWith(sky, prefix, refresh);
  } finally {
    sky.close();
  }
}

async function observeWith(sky: Sky, prefix: string, refresh: boolean): Promise<ObservedSkyClusters> {
  const known = await sky.clusters([], refresh);
  const clusters = known.filter(({ name }) => name.startsWith(prefix));
  const jobs = await sky.jobs(clusters.filter(({ status }) => status === "UP").map(({ name }) => name));
  return Object.fromEntries(
    clusters.map(({ name, status, cluster_hash }) => {
      const job = latestJob(jobs[name] ?? []);
      const seen = { status, clusterHash: cluster_hash };
      return [name, job === undefined ? seen : { ...seen, job: { name: job.job_name, status: job.status } }];
    }),
  );
}
