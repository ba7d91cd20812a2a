/** Finds processes of this machine by an environment variable. */
import { commandLineOf, environmentOf, processIds } from "../lib/procfs";

/** Ids of the processes that were started with this value of a variable. */
export function processesWith(name: string, value: string): number[] {
  return processIds().filter((pid) => environmentOf(pid).includes(`${name}=${value}`));
}

/** The command line of a process; empty if it has exited. */
export function commandOf(pid: number): string {
  return commandLineOf(pid).join(" ");
}
