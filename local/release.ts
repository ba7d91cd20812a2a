/** `local release`: stops all processes of a cluster, verifies that none is left, and removes its files. */
import { existsSync, rmSync } from "node:fs";
import { UserError } from "../lib/errors";
import type { NodeShell } from "../lib/nodes";
import { clean, stopUnits } from "../lib/nodeUnits";
import { poll } from "../lib/poll";
import { type FoundProcess, isAlive, kill, processesOf } from "../lib/processes";
import { messageOf } from "../lib/run";
import { defineVerb, type VerbContext } from "../lib/verb";
import { CONTROL_PLANE_ROLES } from "../plan/types";
import { clusterDirectory, nodeDirectory, ranksOnDisk } from "./directories";
import { readProcessRecord } from "./node";
import { findNodeRecord, nodeShell } from "./record";
import { localLeaseSchema } from "./spec";

/** Time that supervisor itself needs besides the programs' own `stopSeconds`. */
const SUPERVISOR_STOP_SECONDS = 10;
const KILL_SECONDS = 10;

export const verb = defineVerb({
  input: localLeaseSchema,
  timeoutSeconds: ({ timeoutSeconds }) => timeoutSeconds,
  run: async ({ cluster }, context) => {
    const directory = clusterDirectory(cluster);
    if (!existsSync(directory) && processesOf(directory).length === 0) {
      context.progress.line(`the local cluster '${cluster}' is already gone`);
      return;
    }
    await endNodes(cluster, ranksOnDisk(cluster), context);
    await endProcesses(directory, `the local cluster '${cluster}'`, 0, context);
    rmSync(directory, { recursive: true, force: true });
    context.progress.line(`the local cluster '${cluster}' is gone: no process and no file is left`);
  },
});

/**
 * Stops the supervisors and all programs of the given nodes and removes their files; nodes that are already
 * gone are fine.
 *
 * @param options.keepFiles Keeps the files, so that the node can be started again. Default: false.
 * @throws UserError that names the processes that could not be stopped.
 */
export async function endNodes(
  cluster: string,
  ranks: readonly number[],
  context: VerbContext,
  options: { readonly keepFiles?: boolean } = {},
): Promise<void> {
  // Workers and frontends first, on all nodes: they finish their requests and deregister from etcd.
  const except = CONTROL_PLANE_ROLES;
  const stopping = ranks.map(async (rank) => {
    const stop = (shell: NodeShell) => stopUnits(shell, except, context.signal);
    return { rank, grace: await withAgent(cluster, rank, context, stop) };
  });
  const stopped = await Promise.all(stopping);
  await Promise.all(
    stopped.map(async ({ rank, grace }) => {
      const directory = nodeDirectory(cluster, rank);
      const supervisor = readProcessRecord(directory);
      const isRunning = supervisor !== undefined && isAlive(supervisor);
      // It stops all its programs, then exits.
      if (isRunning) kill(supervisor.pid, "SIGTERM");
      const bound = isRunning ? (grace ?? 0) + SUPERVISOR_STOP_SECONDS : 0;
      await endProcesses(directory, `node ${rank}`, bound, context);
      if (options.keepFiles === true) return;
      await withAgent(cluster, rank, context, (shell) => clean(shell, context.signal));
      rmSync(directory, { recursive: true, force: true });
    }),
  );
}

/** Undefined if the node's files, or its interpreter, are gone: then its processes are killed. */
async function withAgent<T>(
  cluster: string,
  rank: number,
  { progress, signal }: VerbContext,
  ask: (shell: NodeShell) => Promise<T>,
): Promise<T | undefined> {
  const record = findNodeRecord(cluster, rank);
  if (record === undefined) return undefined;
  try {
    return await ask(nodeShell(nodeDirectory(cluster, rank), record));
  } catch (error) {
    signal.throwIfAborted();
    progress.line(`node ${rank}: its agent does not answer (${messageOf(error)})`);
    return undefined;
  }
}

/** Waits for the processes of a directory to exit, and kills the rest on a timeout. */
async function endProcesses(
  directory: string,
  what: string,
  boundSeconds: number,
  context: VerbContext,
): Promise<void> {
  const { progress, signal } = context;
  const check = async (): Promise<string | undefined> => {
    const remaining = processesOf(directory);
    // Supervisor takes seconds to notice that its last program has exited.
    const [last] = remaining;
    if (last !== undefined && remaining.length === 1 && last.pid === readProcessRecord(directory)?.pid)
      kill(last.pid);
    return remaining.length === 0 ? undefined : `${what} to stop: ${describe(remaining)}`;
  };
  if ((await poll({ timeoutSeconds: boundSeconds, progress, signal, check })) === undefined) return;
  const killed = await poll({
    timeoutSeconds: KILL_SECONDS,
    progress,
    signal,
    check: async () => {
      // Repeated, since a process may have started others meanwhile.
      for (const { pid } of processesOf(directory)) kill(pid);
      return check();
    },
  });
  if (killed === undefined) {
    progress.line(`${what}: what did not stop by itself was killed`);
    return;
  }
  throw new UserError(
    `Processes of ${what} are still there after SIGKILL: ${describe(processesOf(directory))}. ` +
      "They hang in the kernel (see `ps -o stat,wchan -p <pid>`); run `pulumi destroy` again when they are gone.",
  );
}

function describe(processes: readonly FoundProcess[]): string {
  const shown = processes.slice(0, 5).map(({ pid, command }) => `${pid} (${command})`);
  return processes.length > shown.length ? `${shown.join(", ")} and others` : shown.join(", ");
}
