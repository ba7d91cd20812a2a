/** What the planner of a running deployment has decided. */
import { z } from "zod";
import { askNode } from "../../lib/agent";
import type { Replicas, ScaledPool } from "../../plan/scale";
import { type Deployed, nodesOf } from "../deployment/deployed";
import type { Reach } from "../deployment/reach";

/** A node that does not answer may be busy. Unit: milliseconds. */
const ANSWER_MS = 30_000;

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
  const node = nodesOf(deployed).find(({ programs }) => programs.some(({ role }) => role === "planner"));
  const shell = node && reach.shell(node);
  if (shell === undefined) return undefined;
  let said: unknown;
  const limit = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]);
  await askNode(shell, { decision: { done: done ?? null } }, (answer) => (said = answer), limit);
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
