/** Processes of the lab's clusters, whose nodes are all this machine. */
import { readFileSync, readlinkSync } from "node:fs";
import { labProcesses, withDescendants } from "../../dev/lab/processes";
import { processesOf as processesOfNode } from "../../lib/processes";
import { LAB } from "../../toolchain/labLayout";

/**
 * Ids of the lab's processes whose command, environment or working directory names a cluster, and of their
 * children. (nginx has no readable environment.)
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

/** Empty if it has exited meanwhile. */
function readProcess(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}

/** Id of a program's engine process; 0 if it does not run. The lab has one cluster at a time. */
export function processOfProgram(program: string): number {
  return processesOfNode(LAB.nodes).find(({ command }) => command === program)?.pid ?? 0;
}
