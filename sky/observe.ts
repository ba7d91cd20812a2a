/** `sky observe`: state of all clusters of a deployment, in one call. Read-only. */
import { type ObservedNode, observeNode } from "../lib/observedNode";
import { defineVerb, type VerbContext } from "../lib/verb";
import { Sky } from "./cli";
import { type ClusterRecord, type JobRecord, latestJob, type PriceRecords } from "./records";
import type { BeforeLaunch } from "./session";
import { skyObserveSchema } from "./spec";
import { sharedConnection, sshShell } from "./ssh";

/** State of one cluster. */
export interface ObservedSkyCluster {
  /** SkyPilot's status: `UP`, `INIT`, `STOPPED`. */
  readonly status: string;
  readonly clusterHash: string;
  /** The latest job and its SkyPilot status; absent if there is none. */
  readonly job?: { readonly name: string; readonly status: string };
  /** Those of its nodes that have answered. Absent if its task does not run yet, or any more. */
  readonly nodes?: readonly ObservedNode[];
}

/** By full name; only clusters known to SkyPilot. */
export type ObservedSkyClusters = Readonly<Record<string, ObservedSkyCluster>>;

export const verb = defineVerb({
  input: skyObserveSchema,
  timeoutSeconds: ({ timeoutSeconds }) => timeoutSeconds,
  run: async (input, context) => context.result(await observeSky(input, context)),
});

/** Which clusters to observe. */
export interface ObserveRequest {
  /** Prefix of the clusters' names. */
  readonly prefix: string;
  /** As in the configuration. */
  readonly infra: readonly string[];
}

/** All clusters whose name begins with the prefix. */
async function observeSky(request: ObserveRequest, context: VerbContext): Promise<ObservedSkyClusters> {
  return (await observeAndPrice({ ...request, tasks: [] }, context)).clusters;
}

/** What was seen, and what SkyPilot says of tasks and infras. */
export interface ObservedAndPriced extends PriceRecords {
  readonly clusters: ObservedSkyClusters;
}

/**
 * The same, what SkyPilot may take for some tasks (`num_nodes` and `resources`) and for how much, in the
 * order of the tasks, and what a launch would fail at.
 */
export async function observeAndPrice(
  {
    prefix,
    infra,
    tasks,
    hub,
  }: ObserveRequest & { readonly tasks: readonly unknown[] } & Pick<BeforeLaunch, "hub">,
  context: VerbContext,
): Promise<ObservedAndPriced> {
  const sky = await Sky.find(infra, context);
  try {
    const [clusters, priced] = await Promise.all([
      observeClusters(sky, prefix),
      sky.prices(tasks, { access: infra, hub }),
    ]);
    return { clusters, ...priced };
  } finally {
    sky.close();
  }
}

/**
 * What SkyPilot may take for some tasks, where it is installed already; undefined where it is not. No server
 * and no cloud is asked, so it is only known where the tasks name their infra.
 */
export async function pricesAtHand(
  infra: readonly string[],
  tasks: readonly unknown[],
  context: VerbContext,
): Promise<PriceRecords["prices"] | undefined> {
  const sky = await Sky.atHand(infra, context);
  if (sky === undefined) return undefined;
  try {
    return (await sky.prices(tasks)).prices;
  } finally {
    sky.close();
  }
}

async function observeClusters(sky: Sky, prefix: string): Promise<ObservedSkyClusters> {
  const records = (await sky.clusters()).filter(({ name }) => name.startsWith(prefix));
  const up = records.filter(({ status }) => status === "UP").map(({ name }) => name);
  const jobs = await sky.jobs(up);
  const silent = up.filter((name) => jobs[name] === undefined);
  const [fresh, nodes] = await Promise.all([
    refreshed(sky, records, silent),
    observeNodes(sky, records, jobs),
  ]);
  return observed(fresh, jobs, nodes);
}

/** A node that is slower is not waited for: what is not known is not repaired. */
const NODE_SECONDS = 45;

/** Asks the nodes of all clusters whose task runs, at once. Those that do not answer are left out. */
async function observeNodes(
  sky: Sky,
  records: readonly ClusterRecord[],
  jobs: Readonly<Record<string, readonly JobRecord[]>>,
): Promise<ReadonlyMap<string, readonly ObservedNode[]>> {
  const running = records.filter(({ name }) => latestJob(jobs[name] ?? [])?.status === "RUNNING");
  const connection = sharedConnection(sky.env);
  const signal = AbortSignal.timeout(NODE_SECONDS * 1000);
  const seen = running.map(async ({ name, nodes }) => {
    const ranks = Array.from({ length: nodes ?? 1 }, (_, rank) => rank);
    const asked = ranks.map((rank) => observeNode(sshShell(name, rank, connection), rank, signal));
    const answers = await Promise.allSettled(asked);
    return [name, answers.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []))] as const;
  });
  return new Map(await Promise.all(seen));
}

/**
 * SkyPilot's records may be stale. Refreshing them from the clouds is slow, so it is done only for clusters
 * that should be up and whose head does not return its queue.
 */
async function refreshed(sky: Sky, records: readonly ClusterRecord[], silent: readonly string[]) {
  if (silent.length === 0) return records;
  const fresh = await sky.clusters(silent, true);
  return [...records.filter(({ name }) => !silent.includes(name)), ...fresh];
}

function observed(
  records: readonly ClusterRecord[],
  jobs: Readonly<Record<string, readonly JobRecord[]>>,
  nodesOf: ReadonlyMap<string, readonly ObservedNode[]>,
): ObservedSkyClusters {
  return Object.fromEntries(
    records.map(({ name, status, cluster_hash }) => {
      const job = latestJob(jobs[name] ?? []);
      const nodes = nodesOf.get(name);
      const seen = { status, clusterHash: cluster_hash, ...(nodes === undefined ? {} : { nodes }) };
      return [name, job === undefined ? seen : { ...seen, job: { name: job.job_name, status: job.status } }];
    }),
  );
}
