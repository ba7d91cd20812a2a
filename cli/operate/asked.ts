/** When somebody has asked a deployment whose workers are taken away. */
import { z } from "zod";
import type { Deployed } from "../deployment/deployed";
import type { Reach } from "../deployment/reach";
import { askOne } from "./question";

/** As `runtime/agent.py` writes it. */
const answerSchema = z.object({ secondsAgo: z.number().nullable() });

/**
 * Undefined if nobody has since the gateway's node was started.
 * @throws Error if the node with the gateway does not answer.
 */
export async function lastAsked(
  deployed: Deployed,
  reach: Reach,
  signal: AbortSignal,
): Promise<Date | undefined> {
  const said = await askOne(deployed, reach, "gateway", { asked: {} }, signal);
  if (said === undefined) return undefined;
  const { secondsAgo } = answerSchema.parse(said);
  // By the clock of this machine: the node's may be another.
  return secondsAgo === null ? undefined : new Date(Date.now() - secondsAgo * 1000);
}
