/** `sky observe`: state of all clusters of a deployment, in one call. Read-only. */
import { type ObservedNode, observeNode } from "../lib/observedNode";
import { defineVerb, type VerbContext } from "../lib/verb";
import { Sky } from "./cli";
import { type ClusterRecord, type JobRecord, latestJob, type PriceRecords, whyAbnormal } from "./records";
import type { BeforeLaunch } from "./session";
import { skyObserveSchema } from "./spec";
import { type Connection, sharedConnection, sshShell } from "./ssh";

/** State of one cluster. */
export interface ObservedSkyCluster {
  /** SkyPilot's status: `UP`, `INIT`, `STOPPED`. */
  readonly status: string;
  /** Why it was up and is so no more, where SkyPilot says so. */
  readonly reason?: string;
  readonly clusterHash: string;
  /** SkyPilot's status of the latest job; absent if there is none. */
  readonly job?: { readonly status: string };
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
  const up = records.filter(({ status }) => status === "UP");
  const names = up.map(({ name }) => name);
  // Both take seconds: the nodes are asked while SkyPilot reads the queues.
  const connection = sharedConnection(sky.env);
  const asked = up.map((cluster) => new AskedNodes(cluster, connection));
  const queues = sky.jobs(names);
  // Nobody waits for the queues where the nodes know it.
  queues.catch(() => undefined);
  try {
    const jobs = await Promise.race([queues, jobsOf(asked)]);
    const silent = names.filter((name) => jobs[name] === undefined);
    const looks = asked.filter(({ name }) => isRunning(jobs, name));
    for (const one of asked) if (!looks.includes(one)) one.stop();
    const known = looks.map(async ({ name, answers }) => [name, await answers] as const);
    const [fresh, answered] = await Promise.all([refreshed(sky, records, silent), Promise.all(known)]);
    const nodes = new Map(answered);
    // Of a node that is gone the head may say nothing: seen of a pod that somebody deleted.
    const partial = looks.flatMap(({ name, count }) =>
      (nodes.get(name)?.length ?? 0) < count ? [name] : [],
    );
    return observed(await refreshed(sky, fresh, partial), jobs, nodes);
  } finally {
    for (const one of asked) one.stop();
  }
}

/** Latest jobs by cluster. */
type Jobs = Readonly<Record<string, readonly Pick<JobRecord, "job_id" | "status">[]>>;

function isRunning(jobs: Jobs, cluster: string): boolean {
  return latestJob(jobs[cluster] ?? [])?.status === "RUNNING";
}

/**
 * What the queues would say, once supervisors answer on all nodes of all clusters: a supervisor ends with the
 * task that has started it. Never settles if one does not answer.
 */
async function jobsOf(asked: readonly AskedNodes[]): Promise<Jobs> {
  const run = await Promise.all(asked.map((one) => one.allRun()));
  if (!run.every(Boolean)) return new Promise(() => undefined);
  return Object.fromEntries(asked.map(({ name }) => [name, [{ job_id: 0, status: "RUNNING" }]]));
}

/** A node that is slower is not waited for: what is not known is not repaired. */
const NODE_SECONDS = 45;

/** All nodes of a cluster, asked at once. */
class AskedNodes {
  readonly name: string;
  /** Of those that have answered, when all have or it was stopped. */
  readonly answers: Promise<readonly ObservedNode[]>;
  private readonly idle = new AbortController();
  readonly count: number;

  constructor({ name, nodes }: ClusterRecord, connection: Connection) {
    this.name = name;
    this.count = nodes ?? 1;
    const signal = AbortSignal.any([this.idle.signal, AbortSignal.timeout(NODE_SECONDS * 1000)]);
    const asked = Array.from({ length: this.count }, (_, rank) =>
      observeNode(sshShell(name, rank, connection), rank, signal),
    );
    this.answers = Promise.allSettled(asked).then((all) =>
      all.flatMap((one) => (one.status === "fulfilled" ? [one.value] : [])),
    );
  }

  async allRun(): Promise<boolean> {
    const answers = await this.answers;
    return answers.length === this.count && answers.every(({ supervisor }) => supervisor);
  }

  stop(): void {
    this.idle.abort();
  }
}

/**
 * SkyPilot's records may be stale. Refreshing them from the clouds is slow, so it is done only for clusters
 * that should be up and whose head does not return its queue, or of which a node does not answer.
 */
async function refreshed(sky: Sky, records: readonly ClusterRecord[], silent: readonly string[]) {
  if (silent.length === 0) return records;
  const fresh = await sky.clusters(silent, true);
  return [...records.filter(({ name }) => !silent.includes(name)), ...fresh];
}

function observed(
  records: readonly ClusterRecord[],
  jobs: Jobs,
  nodesOf: ReadonlyMap<string, readonly ObservedNode[]>,
): ObservedSkyClusters {
  return Object.fromEntries(
    records.map((record) => {
      const { name, status, cluster_hash } = record;
      const job = latestJob(jobs[name] ?? []);
      const nodes = nodesOf.get(name);
      const reason = whyAbnormal(record);
      const seen = {
        status,
        clusterHash: cluster_hash,
        ...(reason === undefined ? {} : { reason }),
        ...(nodes === undefined ? {} : { nodes }),
      };
      return [name, job === undefined ? seen : { ...seen, job: { status: job.status } }];
    }),
  );
}
