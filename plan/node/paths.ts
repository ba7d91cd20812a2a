/** Paths on a node that other programs need. */

/** Log file of a program, relative to the node's directory. */
export function programLog(program: string): string {
  return `logs/${program}.log`;
}

/** The supervisor's own log, relative to the node's directory. */
export const SUPERVISOR_LOG = "logs/supervisord.log";

/** Directory of all units, relative to the node's. */
export const UNITS = "units";

/** Directory of a unit's files, relative to the node's directory; `runtime/plan.py` writes them. */
export function unitDirectory(unit: string): string {
  return `${UNITS}/${unit}`;
}
