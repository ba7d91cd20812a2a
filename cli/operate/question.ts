/** A question to the node with a program of which there is one. */
import { askNode, type NodeRequest } from "../../lib/agent";
import type { ProgramRole } from "../../plan/types";
import { type Deployed, nodesOf } from "../deployment/deployed";
import type { Reach } from "../deployment/reach";

/** A node that does not answer may be busy. Unit: milliseconds. */
export const ANSWER_MS = 30_000;

/** The last answer; undefined if no node has such a program. @throws Error if the node does not answer. */
export async function askOne(
  deployed: Deployed,
  reach: Reach,
  role: ProgramRole,
  request: NodeRequest,
  signal: AbortSignal,
): Promise<unknown> {
  const node = nodesOf(deployed).find(({ programs }) => programs.some((program) => program.role === role));
  const shell = node && reach.shell(node);
  if (shell === undefined) return undefined;
  let said: unknown;
  const limit = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]);
  await askNode(shell, request, (answer) => (said = answer), limit);
  return said;
}
