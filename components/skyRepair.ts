/** Finds what of a deployment's SkyPilot clusters is lost, and must be launched or started again. */
import * as pulumi from "@pulumi/pulumi";
import type { DeploymentConfig } from "../config/deployment";
import type { ObservedNode } from "../lib/observedNode";
import { type HubAnswer, type HubQuestion, hubQuestion } from "../plan/hub";
import type { Obstacle } from "../plan/obstacles";
import type { ClusterPlan } from "../plan/types";
import type { ObservedSkyClusters } from "../sky/observe";
import { clusterPrefixName, SUFFIX_LENGTH } from "./names";
import { answersTo, priceQuestions, type SkyPrices } from "./prices";
import { reported, reportedLater } from "./problems";
import { unitRepairs } from "./repair";
import { pulumiProcess, sharedLook } from "./sharedLook";

/** The observed state, and when it was read. */
export interface SkyObservation {
  /** ISO 8601. */
  readonly at: string;
  /** By full name. */
  readonly clusters: ObservedSkyClusters;
  /** SkyPilot's prices of the deployment's clusters. Default: not queried. */
  readonly prices?: SkyPrices;
  /** What a launch would fail at, at infras of the configuration. Default: nobody asked. */
  readonly obstacles?: readonly Obstacle[];
  /** What the hub says of the models that nodes will fetch. Default: it was not asked. */
  readonly hub?: HubQuestion & { readonly answers: readonly HubAnswer[] };
}

/**
 * SkyPilot's statuses of a job that runs or will run:
 * https://docs.skypilot.co/en/latest/reference/cli.html#sky-queue
 */
const ALIVE = new Set(["INIT", "PENDING", "SETTING_UP", "RUNNING"]);

/**
 * Asks SkyPilot, in one call, about the clusters whose name begins with the prefix. `DynamoCluster` marks
 * what should run and does not, so that a preview shows it with the reason and an update repairs it.
 *
 * @param prefix As `DynamoCluster` has it in `clusterPrefix`.
 * @param infra As in the configuration: it decides which SkyPilot is asked.
 * @param priced The configuration of the deployment whose price is wanted, too. Default: no price is asked
 *   for; then a limit on it (`limits.dollarsPerHour`, `sky.maxHourlyCost`) refuses the deployment.
 * @param huggingFaceToken The token that nodes will have, with which the hub is asked about the model; it
 *   goes nowhere else. Default: none.
 * @throws ProgramError when SkyPilot does not answer, with the cause, and when the deployment cannot be
 *   planned.
 */
export async function observeSky(
  prefix: string,
  infra: readonly string[],
  priced?: DeploymentConfig,
  huggingFaceToken?: string,
): Promise<SkyObservation> {
  const questions = priced === undefined ? [] : reported(() => priceQuestions(priced));
  // Loaded lazily: a program for this machine does not need SkyPilot's driver.
  const { observeAndPrice: ask } = require("../sky/observe") as typeof import("../sky/observe");
  const { Progress } = require("../lib/progress") as typeof import("../lib/progress");
  const context = {
    progress: new Progress((line) => void pulumi.log.info(line)),
    signal: AbortSignal.timeout(OBSERVE_SECONDS * 1000),
    result: () => undefined,
  };
  const tasks = questions.map((question): unknown => JSON.parse(question));
  const hub = priced && hubQuestion(priced, process.env["HF_ENDPOINT"]);
  const asking = { prefix: `${clusterPrefixName(prefix)}-`, infra, tasks };
  const { at, seen } = await reportedLater(() =>
    sharedLook({ ...asking, hub }, { isPreview: pulumi.runtime.isDryRun(), pulumi: pulumiProcess() }, () =>
      ask({ ...asking, ...(hub === undefined ? {} : { hub: { ...hub, token: huggingFaceToken } }) }, context),
    ),
  );
  const { clusters, prices, obstacles, models } = seen;
  const asked = hub === undefined ? {} : { hub: { ...hub, answers: models } };
  return { at, clusters, prices: answersTo(questions, prices), obstacles, ...asked };
}

/** Includes the first installation of SkyPilot. */
const OBSERVE_SECONDS = 900;

/** What is broken in a cluster. */
export interface SkyRepairs {
  /** Why its task must be launched again, and all units started. */
  readonly launch?: string;
  /** Why units must be started again, by unit name. */
  readonly units: ReadonlyMap<string, string>;
}

/**
 * Compares a cluster's plan with its observed state. Nodes that did not answer are taken to be well: they may
 * be busy, and their task runs.
 *
 * A reason includes the time of the observation, as in `repair.ts`, so that a second loss differs from the
 * first.
 *
 * @param base The cluster's name without its random suffix, which is unknown while resources are declared.
 */
export function skyRepairs(plan: ClusterPlan, base: string, { at, clusters }: SkyObservation): SkyRepairs {
  const name = new RegExp(`^${base}-[a-z0-9]{${SUFFIX_LENGTH}}$`);
  const found = Object.entries(clusters).flatMap(([cluster, seen]) => (name.test(cluster) ? [seen] : []));
  const well = found.find((seen) => brokenCluster(seen) === undefined);
  if (well !== undefined) {
    const { nodes = [] } = well;
    const answered = new Set(nodes.map(({ rank }) => rank));
    const known = { ...plan, nodes: plan.nodes.filter(({ rank }) => answered.has(rank)) };
    return { units: unitRepairs(known, nodes, at) };
  }
  const [reason = "SkyPilot knows no such cluster"] = found.map(brokenCluster);
  return { launch: `${reason}, seen ${at}`, units: new Map() };
}

/** Status of a cluster, and of its latest job. */
interface ClusterStatus {
  readonly status: string;
  /** Why it was up and is so no more. */
  readonly reason?: string | undefined;
  readonly job?: { readonly status: string } | undefined;
  /** Those of its nodes that have answered. Default: nobody asked. */
  readonly nodes?: readonly Pick<ObservedNode, "rank" | "supervisor">[] | undefined;
}

/** Why a cluster's task does not serve; undefined if it does. */
export function brokenCluster({ status, reason, job, nodes = [] }: ClusterStatus): string | undefined {
  if (status !== "UP") return `the cluster is ${status}${reason === undefined ? "" : `: ${reason}`}`;
  if (job === undefined) return "the cluster runs no task";
  if (!ALIVE.has(job.status)) return `the cluster's task is ${job.status}`;
  // What SkyPilot notes the end of a job by may have ended with it: seen where a pod was out of memory.
  const empty = job.status === "RUNNING" ? nodes.find(({ supervisor }) => !supervisor) : undefined;
  return empty && `no supervisor runs on node ${empty.rank}, though SkyPilot says that the task does`;
}
