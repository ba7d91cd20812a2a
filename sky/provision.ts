/** Runs `sky launch`, tells its stages, and watches why it waits. */
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type BroughtFiles, copyBrought } from "../lib/broughtFiles";
import type { UserError } from "../lib/errors";
import { NODE_FILES } from "../lib/placeholders";
import { copyRuntime } from "../lib/runtimeFiles";
import { classify, explained, type Failure, hopeless, launchFailure } from "./failure";
import type { Launch } from "./launch";
import { makeLaunchDirectory } from "./launchFiles";
import { leftRunning } from "./left";
import { cancelRequests } from "./requests";
import { withSecrets } from "./secrets";
import { BROUGHT } from "./setup";
import type { SkyTask } from "./spec";
import type { Stage } from "./stages";
import { withRuntime } from "./task";
import { taskText } from "./taskText";

/** How often the reason is asked for while machines are being waited for. */
const WATCH_EVERY_MS = 5000;
const LOG_SECONDS = 120;
/** Stages that come shortly before the end of a launch. */
const WARM: ReadonlySet<Stage> = new Set(["setting up", "syncing"]);
const LAST_LINES = 15;

/** @throws UserError that says why the cluster is not up, what is left of it, and what to do. */
export async function provision(launch: Launch, { fast }: { readonly fast: boolean }): Promise<void> {
  const { input, task, sky, context, stages } = launch;
  const directory = await makeLaunchDirectory(input.cluster);
  const file = join(directory, "task.sky.yaml");
  const stop = new AbortController();
  try {
    const { task: given, args: secretArgs, env } = await withSecrets(input, directory);
    await writeFile(file, taskText(withFiles(given, directory, input.files)), { mode: 0o600 });
    const args = ["launch", "-y", "--detach-run", "-c", input.cluster, "-n", task.name];
    if (fast) args.push("--fast");
    if (input.retryUntilUp) args.push("--retry-until-up");
    stages.enter("optimising");
    const waits: Waits = {};
    const watch = watchReason(launch, stop, waits);
    const outcome = await sky.run([...args, ...secretArgs, file], {
      timeoutSeconds: launch.secondsLeft(),
      env,
      onLine: (line) => {
        stages.line(line);
        // The job is asked for next.
        if (WARM.has(stages.stage)) sky.warm();
      },
      signal: stop.signal,
    });
    stop.abort();
    context.signal.throwIfAborted();
    await watch;
    if (outcome.code === 0) return;
    const isWaiting = outcome.code === undefined && stages.stage === "provisioning";
    const failure =
      waits.hopeless ??
      (isWaiting ? whyWaited(waits.reason) : undefined) ??
      classify(outcome.lines, outcome.code === undefined);
    // A request that is not ended goes on without anybody waiting for it.
    if (outcome.code === undefined) await cancelRequests(launch);
    throw await provisionFailure(launch, failure, outcome.lines);
  } finally {
    stop.abort();
    await rm(directory, { recursive: true, force: true });
  }
}

/** The task with what its nodes run, where that is a plan. */
function withFiles(task: SkyTask, directory: string, brought: BroughtFiles): SkyTask {
  if (task.run === undefined || typeof task.run === "string") return task;
  const runtime = join(directory, "runtime");
  copyRuntime(runtime);
  if (Object.keys(brought).length === 0) return withRuntime(task, runtime);
  // Copies, since SkyPilot uploads nothing that a `.gitignore` beside it names, as one does with keys.
  const files = join(directory, NODE_FILES);
  copyBrought(brought, files);
  return withRuntime({ ...task, file_mounts: { [BROUGHT]: files, ...task.file_mounts } }, runtime);
}

/** Why machines are not there yet, as SkyPilot said last. */
interface Waits {
  reason?: string;
  /** Why it was of no use to wait on. */
  hopeless?: Failure;
}

/** The failure of a launch that was ended while it waited for machines; undefined when SkyPilot has said no reason. */
function whyWaited(reason = ""): Failure | undefined {
  return /pending/i.test(reason)
    ? { kind: "capacity", cause: `it still waited at its time limit: ${reason}` }
    : undefined;
}

/** Tells why machines are not there yet. Ends the launch when waiting is no use. */
async function watchReason(launch: Launch, stop: AbortController, waits: Waits): Promise<void> {
  const { input, sky, context, stages } = launch;
  while (!stop.signal.aborted) {
    await sleep(WATCH_EVERY_MS, undefined, { signal: stop.signal }).catch(() => undefined);
    if (stop.signal.aborted || stages.stage !== "provisioning") continue;
    const reason = (await sky.cluster(input.cluster).catch(() => undefined))?.init_status_reason ?? undefined;
    if (reason === undefined || stop.signal.aborted) continue;
    if (reason !== waits.reason) context.progress.line(`waiting for machines: ${reason}`);
    // Slurm's first look at a job may come to another end than its next one.
    const failure = reason === waits.reason ? hopeless(reason, input.retryUntilUp) : undefined;
    waits.reason = reason;
    if (failure === undefined) continue;
    waits.hopeless = failure;
    stop.abort();
  }
}

async function provisionFailure(
  launch: Launch,
  failure: Failure,
  printed: readonly string[],
): Promise<UserError> {
  const { input, sky, stages } = launch;
  const atNodes = failure.kind === "setup" || failure.kind === "unknown" || failure.kind === "timeout";
  const log = atNodes ? await provisioningLog(launch) : [];
  const told = explained(failure, log);
  return launchFailure(input.cluster, `The launch of ${input.cluster} failed while ${stages.stage}`, told, {
    source: log.length > 0 ? "Last lines of the provisioning log" : "Last lines of sky launch",
    lines: (log.length > 0 ? log : printed).slice(-LAST_LINES),
    left: await leftRunning(sky, input.cluster),
  });
}

/** `sky logs --provision`; empty when there is none. */
async function provisioningLog({ input, sky }: Launch): Promise<readonly string[]> {
  const args = ["logs", "--provision", "--no-follow", input.cluster];
  const outcome = await sky.run(args, { timeoutSeconds: LOG_SECONDS });
  return outcome.code === 0 ? outcome.lines : [];
}
