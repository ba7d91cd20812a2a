/** One local node: its directory, its files, and its supervisor. */

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../lib/errors";
import { writePrivate } from "../lib/files";
import { lastLines } from "../lib/logs";
import { unitsState } from "../lib/nodeUnits";
import { poll } from "../lib/poll";
import { isAlive, kill, type ProcessId, processesOf, startTime } from "../lib/processes";
import { runtimeFiles } from "../lib/runtimeFiles";
import type { VerbContext } from "../lib/verb";
import { SUPERVISOR_LOG, UNITS } from "../plan/node/paths";
import { READ_AGAIN } from "../plan/programs/gateway";
import { CONTROL_PLANE_ROLES } from "../plan/types";
import { clusterDirectory, nodeDirectory } from "./directories";
import { type NodeRecord, nodeShell, RECORD } from "./record";

/** The supervisor process, as it was started. */
interface RunningSupervisor extends ProcessId {
  /** Digest of the record and secrets at its start. */
  readonly startedWith: string;
}

const SECRETS = "secrets.json";
const START_LOG = "logs/start.log";
const PROCESS_RECORD = "run/supervisord.json";
const START_SECONDS = 30;
/** How long one request waits for an answer, before it is seen whether the process still runs. */
const ANSWER_SECONDS = 2;
const STOP_SECONDS = 30;
const ORPHAN_SECONDS = 10;
/** Other programs need it while they stop. Programs of the control plane are named after their role. */
const CONTROL_PLANE: ReadonlySet<string> = new Set(CONTROL_PLANE_ROLES);

/** Creates the directory of a node if it does not exist. */
export function makeNodeDirectory(cluster: string, rank: number): string {
  const directory = nodeDirectory(cluster, rank);
  for (const path of ["logs", "run", UNITS]) {
    mkdirSync(join(directory, path), { recursive: true, mode: 0o700 });
  }
  return directory;
}

/** Updates the files that a node's programs are started with: launcher, record, secrets. */
export function writeNode(
  directory: string,
  record: NodeRecord,
  secrets: Readonly<Record<string, string>>,
): void {
  writeFiles(directory, {
    ...runtimeFiles(),
    [RECORD]: `${JSON.stringify(record, null, 2)}\n`,
    [SECRETS]: `${JSON.stringify(secrets)}\n`,
  });
}

/** Whether the running supervisor was started with another record, or its programs with other secrets. */
export function isOutdated(directory: string): boolean {
  const running = readProcessRecord(directory);
  return running !== undefined && isAlive(running) && running.startedWith !== startDigest(directory);
}

function startDigest(directory: string): string {
  const hash = createHash("sha256");
  hash.update(readFileSync(join(directory, RECORD)));
  const secrets: Record<string, string> = JSON.parse(readFileSync(join(directory, SECRETS), "utf8"));
  const fixed = Object.entries(secrets).filter(([name]) => !READ_AGAIN.includes(name));
  hash.update(`${JSON.stringify(Object.fromEntries(fixed))}\n`);
  return hash.digest("hex");
}

/** Writes private files of a node: other drivers and programs read them. */
export function writeFiles(directory: string, files: Readonly<Record<string, string>>): void {
  for (const [name, content] of Object.entries(files)) writePrivate(join(directory, name), content);
}

/**
 * Makes sure that the node's supervisor runs and answers: reuses a running one, or starts one.
 *
 * @throws UserError with the last lines of its log if it does not answer in time.
 */
export async function ensureSupervisor(
  cluster: string,
  rank: number,
  record: NodeRecord,
  context: VerbContext,
): Promise<void> {
  const directory = nodeDirectory(cluster, rank);
  const answers = (seconds: number) => supervisorAnswers(directory, record, seconds, context);
  if (await answers(0)) return;
  await endSilentSupervisor(directory, answers, context);
  await stopOrphans(directory, context);
  const pid = startSupervisor(cluster, rank, record);
  const started = startTime(pid);
  if (started !== undefined) {
    const running: RunningSupervisor = { pid, startTime: started, startedWith: startDigest(directory) };
    writeFiles(directory, { [PROCESS_RECORD]: JSON.stringify(running) });
  }
  const missing = await poll({
    timeoutSeconds: START_SECONDS,
    progress: context.progress,
    signal: context.signal,
    check: async () => {
      if (await answers(ANSWER_SECONDS)) return undefined;
      if (started === undefined || !isAlive({ pid, startTime: started }))
        throw startFailure(directory, rank, "ended");
      return `the supervisor of node ${rank}`;
    },
  });
  if (missing !== undefined) throw startFailure(directory, rank, `did not answer within ${START_SECONDS} s`);
  context.progress.line(`node ${rank}: supervisor runs (process ${pid}, ${record.address})`);
}

async function supervisorAnswers(
  directory: string,
  record: NodeRecord,
  seconds: number,
  { signal }: VerbContext,
): Promise<boolean> {
  return (await unitsState(nodeShell(directory, record), seconds, signal)).supervisor;
}

function startSupervisor(cluster: string, rank: number, record: NodeRecord): number {
  const directory = nodeDirectory(cluster, rank);
  const log = openSync(join(directory, START_LOG), "a", 0o600);
  const places = ["--dir", directory, "--cluster-dir", clusterDirectory(cluster)];
  const [headAddress = record.address] = record.rankAddresses;
  const addresses = [
    ...["--node-ip", record.address],
    ...["--head-ip", headAddress],
    ...["--rank-ips", record.rankAddresses.join(",")],
    ...["--control-ip", record.controlAddress],
  ];
  // Detached, and without the driver's descriptors: it outlives the driver, and must not keep Pulumi's pipes
  // open.
  const child = spawn(record.pythonBin, ["node.py", "start", ...places, ...addresses], {
    cwd: directory,
    env: record.environment,
    detached: true,
    stdio: ["ignore", log, log],
  });
  closeSync(log);
  child.on("error", () => undefined); // handled as a missing process below
  child.unref();
  if (child.pid === undefined) {
    throw new UserError(
      `${record.pythonBin} cannot be executed. Remove it, so that it is installed again, and retry.`,
    );
  }
  return child.pid;
}

/** A supervisor that runs but does not answer would compete with the new one for the programs. */
async function endSilentSupervisor(
  directory: string,
  answers: (seconds: number) => Promise<boolean>,
  { progress, signal }: VerbContext,
): Promise<void> {
  const recorded = readProcessRecord(directory);
  if (recorded === undefined || !isAlive(recorded)) return;
  const silent = await poll({
    timeoutSeconds: STOP_SECONDS,
    progress,
    signal,
    check: async () =>
      !isAlive(recorded) || (await answers(ANSWER_SECONDS))
        ? undefined
        : `supervisor process ${recorded.pid} to answer or end`,
  });
  if (silent !== undefined) {
    progress.line(`killing supervisor process ${recorded.pid}, which does not answer`);
    kill(recorded.pid);
  }
}

/**
 * Stops programs whose supervisor was killed, so that workers deregister from etcd: otherwise they stay
 * listed next to their replacements. Programs that do not stop are killed by the launcher of their successor.
 */
async function stopOrphans(directory: string, { progress, signal }: VerbContext): Promise<void> {
  const orphans = () => processesOf(directory).filter(({ command }) => !CONTROL_PLANE.has(command));
  const found = orphans();
  if (found.length === 0) return;
  progress.line(
    `stopping what a lost supervisor left behind: ${found.map(({ command }) => command).join(", ")}`,
  );
  for (const { pid } of found) kill(pid, "SIGTERM");
  const check = async () =>
    orphans().length === 0 ? undefined : "what a lost supervisor left behind to stop";
  await poll({ timeoutSeconds: ORPHAN_SECONDS, progress, signal, check });
}

/** The supervisor started last; undefined if there was none. */
export function readProcessRecord(directory: string): RunningSupervisor | undefined {
  try {
    return JSON.parse(readFileSync(join(directory, PROCESS_RECORD), "utf8"));
  } catch {
    return undefined;
  }
}

function startFailure(directory: string, rank: number, what: string): UserError {
  const logs = [START_LOG, SUPERVISOR_LOG].map((name) => join(directory, name));
  return new UserError(
    [`The supervisor of node ${rank} ${what}. Its last log lines:`, ...lastLines(logs, 20)].join("\n"),
  );
}
