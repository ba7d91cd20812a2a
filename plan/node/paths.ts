/** Paths on a node that other programs need. */
import { createHash } from "node:crypto";
import { join } from "node:path";

// As in node.py, which has the reason.
const LONGEST_SOCKET_PATH = 90;

/** Path of a node's supervisor socket; `socket_path` in `node.py` computes the same. */
export function supervisorSocket(nodeDirectory: string, uid: number): string {
  const direct = join(nodeDirectory, "supervisor.sock");
  if (Buffer.byteLength(direct) <= LONGEST_SOCKET_PATH) return direct;
  const digest = createHash("sha256").update(nodeDirectory).digest("hex").slice(0, 16);
  return `/tmp/dynamo-sky-${uid}/${digest}.sock`;
}

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
