/**
 * `sky launch`: makes the cluster run this task, from any state: no cluster, a cluster being launched by a
 * killed driver, up with this task (nothing to do), up with another task (cancels it and starts this one on
 * the same nodes).
 */
import { defineVerb, type VerbContext } from "../lib/verb";
import { Sky } from "./cli";
import { takeDown } from "./down";
import { findEndpoint } from "./endpoint";
import { cancelJobs, untilRunning } from "./job";
import { provision } from "./provision";
import { type ClusterRecord, isUnderWay, type JobRecord, latestJob } from "./records";
import { cancelRequests } from "./requests";
import { type SkyLaunch, type SkyLaunched, type SkyTask, skyLaunchSchema } from "./spec";
import { StageTracker } from "./stages";
import { takenDown } from "./stillRunning";
import { unsupervised } from "./supervised";
import { setupOf, type TaskName, taskName } from "./taskName";

/** State shared by the steps of a launch. */
export interface Launch {
  readonly input: SkyLaunch;
  readonly task: TaskName;
  readonly sky: Sky;
  readonly context: VerbContext;
  readonly stages: StageTracker;
  /** Seconds left until the time limit. */
  readonly secondsLeft: () => number;
}

export const verb = defineVerb({
  input: skyLaunchSchema,
  // The driver's own limits apply first, since their errors say more.
  timeoutSeconds: ({ timeoutSeconds }) => timeoutSeconds + 300,
  run: async (input, context) => {
    const sky = await Sky.find(input.infra, context);
    const deadline = performance.now() + input.timeoutSeconds * 1000;
    const stages = new StageTracker((stage, detail) =>
      context.progress.line(`${stage}${detail && `: ${detail}`}`),
    );
    const secondsLeft = () => Math.max(1, (deadline - performance.now()) / 1000);
    const task = taskName(input.cluster, input.task, input.secrets, input.runtime);
    context.result(await converge({ input, task, sky, context, stages, secondsLeft }));
  },
});

async function converge(launch: Launch): Promise<SkyLaunched> {
  const { input, sky, context, stages } = launch;
  await cancelRequests(launch);
  const before = await sky.cluster(input.cluster);
  await start(launch, before);
  const cluster = await sky.cluster(input.cluster);
  if (cluster === undefined) throw takenDown(input.cluster);
  const address = await findEndpoint(launch, cluster);
  const job = await untilRunning(launch, address.endpoint);
  stages.enter("ready", `job ${job.job_id} runs on ${cluster.nodes ?? "its"} nodes, ${address.endpoint}`);
  context.progress.line(`logs: sky logs ${input.cluster}`);
  return { ...address, clusterHash: cluster.cluster_hash };
}

/** Starts the task unless it runs. */
async function start(launch: Launch, cluster: ClusterRecord | undefined): Promise<void> {
  const { input, sky, task, context } = launch;
  if (cluster?.status !== "UP") {
    if (cluster !== undefined) await makeLaunchable(launch, cluster);
    await provision(launch, { fast: false });
    return;
  }
  const jobs: readonly JobRecord[] = (await sky.jobs([input.cluster]))[input.cluster] ?? [];
  const active = jobs.filter(isUnderWay);
  const [same] = active.length === 1 ? active.filter(({ job_name }) => job_name === task.name) : [];
  const empty = same && (await unsupervised(launch, cluster, same));
  if (same !== undefined && empty === undefined) {
    context.progress.line(
      `${input.cluster} is up with this very task (job ${same.job_id}): nothing to start`,
    );
    return;
  }
  await cancelJobs(launch, active);
  const why = empty === undefined ? "" : `: no supervisor runs on node ${empty}`;
  context.progress.line(`${input.cluster} is up${why}: starting the task on the same nodes`);
  await provision(launch, { fast: isSetUp(jobs, task.setup) });
}

/**
 * SkyPilot starts a cluster that was up once at the very place where it was, and with the same machines, or
 * not at all. So what is left of spot instances that were taken away goes: the launch then takes what there
 * is, where there is some. `_yield_zones` of
 * https://github.com/skypilot-org/skypilot/blob/v0.14.1/sky/backends/cloud_vm_ray_backend.py
 */
async function makeLaunchable(launch: Launch, { status, cluster_ever_up }: ClusterRecord): Promise<void> {
  const { input, sky, context } = launch;
  const { progress } = context;
  if (cluster_ever_up !== true || !asksForSpot(input.task))
    return progress.line(`${input.cluster} is there, ${status}: launching it again`);
  progress.line(`${input.cluster} is there, ${status}: its spot instances are launched anew`);
  await takeDown(sky, input.cluster, launch.secondsLeft(), context);
}

function asksForSpot({ resources }: SkyTask): boolean {
  const { any_of = [], ordered = [] } = resources;
  return [resources, any_of, ordered].flat().some((one) => isObject(one) && one["use_spot"] === true);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

/**
 * Whether the nodes are set up as this task needs: the latest job got past the same set-up, and did not fail.
 * One that did may have failed for what the set-up would mend: files are lost with a machine or by hand, and
 * the queue may outlive them (on Slurm, where a preempted job's directory was deleted by half).
 */
function isSetUp(jobs: readonly JobRecord[], setup: string): boolean {
  const last = latestJob(jobs);
  if (last === undefined || last.start_at == null || last.status.startsWith("FAILED")) return false;
  return setupOf(last.job_name) === setup;
}
