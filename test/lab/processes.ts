/** Processes of the lab's clusters, whose nodes are all this machine. */
import { labProcesses } from "../../dev/lab/processes";
import { processesOf as processesOfNode } from "../../lib/processes";
import { commandLineOf, directoryOf, environmentOf, withDescendants } from "../../lib/procfs";
import { LAB } from "../../toolchain/labLayout";

/**
 * Ids of the lab's processes whose command, environment or working directory names a cluster, and of their
 * children. (nginx has no readable environment.)
 */
export function processIdsOf(cluster: string): number[] {
  const all = labProcesses(LAB.root);
  const named = all.filter((pid) =>
    [...commandLineOf(pid), ...environmentOf(pid), directoryOf(pid)].some((text) => text.includes(cluster)),
  );
  return withDescendants(named, all);
}

/** The same, with the beginnings of their commands. */
export function processesOf(cluster: string): string[] {
  return processIdsOf(cluster).flatMap((pid) => {
    const command = commandLineOf(pid).slice(0, 4).join(" ");
    return command === "" ? [] : [`${pid} ${command}`];
  });
}

/** Id of a program's engine process; 0 if it does not run. The lab has one cluster at a time. */
export function processOfProgram(program: string): number {
  return processesOfNode(LAB.nodes).find(({ command }) => command === program)?.pid ?? 0;
}
