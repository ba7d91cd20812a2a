/** Where things are on a node, as far as other programs must find them. */
import { createHash } from "node:crypto";
import { join } from "node:path";

// As in node.py, which says why.
const LONGEST_SOCKET_PATH = 90;

/** Path of the socket on which a node's supervisor listens; `socket_path` in `node.py` computes the same. */
export function supervisorSocket(nodeDirectory: string, uid: number): string {
  const direct = join(nodeDirectory, "supervisor.sock");
  if (Buffer.byteLength(direct) <= LONGEST_SOCKET_PATH) return direct;
  const digest = createHash("sha256").update(nodeDirectory).digest("hex").slice(0, 16);
  return `/tmp/dynamo-sky-${uid}/${digest}.sock`;
}

/** Where a program's output goes, relative to the node's directory. */
export function programLog(program: string): string {
  return `logs/${program}.log`;
}

/** The supervisor's own log, relative to the node's directory. */
export const SUPERVISOR_LOG = "logs/supervisord.log";

/** Directory of all units, relative to the node's. */
export const UNITS = "units";

/** Where the files of a unit are, relative to the node's directory; `runtime/plan.py` writes them. */
export function unitDirectory(unit: string): string {
  return `${UNITS}/${unit}`;
}
