/** Processes of clusters on the lab, whose nodes are all this machine. */
import { readFileSync, readlinkSync } from "node:fs";
import { labProcesses, withDescendants } from "../../dev/lab/processes";
import { processesOf as processesOfNode } from "../../lib/processes";
import { LAB } from "../../toolchain/labLayout";

/**
 * Ids of the processes of the lab whose command, environment or directory names a cluster, and of what they have started. (nginx has
 * no environment that could be read.)
 */
export function processIdsOf(cluster: string): number[] {
  const all = labProcesses();
  const named = all.filter((pid) =>
    [readProcess(pid, "cmdline"), readProcess(pid, "environ"), directoryOf(pid)].some((text) =>
      text.includes(cluster),
    ),
  );
  return withDescendants(named, all);
}

/** The same, with the beginnings of their commands. */
export function processesOf(cluster: string): string[] {
  return processIdsOf(cluster).flatMap((pid) => {
    const command = readProcess(pid, "cmdline");
    return command === "" ? [] : [`${pid} ${command.split("\0").slice(0, 4).join(" ")}`];
  });
}

function directoryOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return "";
  }
}

/** Empty when it has ended meanwhile. */
function readProcess(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}

/** Id of the engine's process of a program; 0 when it does not run. The lab has one cluster at a time. */
export function processOfProgram(program: string): number {
  return processesOfNode(LAB.nodes).find(({ command }) => command === program)?.pid ?? 0;
}
