/** What the planner of a running deployment has decided. */
import { z } from "zod";
import type { Replicas, ScaledPool } from "../../plan/scale";
import type { Deployed } from "../deployment/deployed";
import type { Reach } from "../deployment/reach";
import { askOne } from "./question";

/** As `runtime/decisions.py` writes it. */
const answerSchema = z.object({
  decision: z
    .object({
      /** Of the planner that runs: another one counts anew. */
      id: z.string(),
      /** Workers of role prefill; null if the planner has not decided. */
      prefill: z.number().nullable(),
      /** Workers of role decode, or of role aggregated. */
      decode: z.number().nullable(),
    })
    .nullable(),
});

export interface Decision {
  readonly id: string;
  readonly replicas: Replicas;
}

/**
 * The planner's last decision, also one that was answered; undefined if there is none.
 *
 * @param done A decision that was answered: the planner waits for that before it decides anew.
 * @throws Error if the node with the planner does not answer.
 */
export async function lastDecision(
  deployed: Deployed,
  reach: Reach,
  pools: readonly ScaledPool[],
  done: Decision["id"] | undefined,
  signal: AbortSignal,
): Promise<Decision | undefined> {
  const said = await askOne(deployed, reach, "planner", { decision: { done: done ?? null } }, signal);
  if (said === undefined) return undefined;
  const { decision } = answerSchema.parse(said);
  if (decision === null) return undefined;
  return { id: decision.id, replicas: replicasOf(decision, pools) };
}

/** By role: what the planner calls decode may be the pool that does all. */
function replicasOf(
  { prefill, decode }: { readonly prefill: number | null; readonly decode: number | null },
  pools: readonly ScaledPool[],
): Replicas {
  return Object.fromEntries(
    pools.flatMap(({ role }) => {
      const wanted = role === "prefill" ? prefill : decode;
      return wanted === null ? [] : [[role, wanted]];
    }),
  );
}
