/** What a node has and runs, as seen from outside. */
import type { NodeShell } from "./nodes";
import { unitsState } from "./nodeUnits";

/** State of one node. */
export interface ObservedNode {
  readonly rank: number;
  /** False if no supervisor runs on the node. */
  readonly supervisor: boolean;
  readonly programs: readonly ObservedProgram[];
}

export interface ObservedProgram {
  readonly name: string;
  readonly unit: string;
  /** Supervisor's state, corrected by the launcher's (see `nodeUnits.ts`), or {@link UNFINISHED}. */
  readonly state: string;
}

/** State of a program whose unit was being changed when that failed or was interrupted. */
export const UNFINISHED = "UNFINISHED";

/**
 * Asks a node's agent.
 *
 * @throws Error if it does not answer, for instance because its interpreter is gone.
 */
export async function observeNode(
  shell: NodeShell,
  rank: number,
  signal: AbortSignal,
): Promise<ObservedNode> {
  const { supervisor, programs } = await unitsState(shell, 0, signal);
  return {
    rank,
    supervisor,
    programs: programs.map(({ name, unit, state, unfinished }) => ({
      name,
      unit,
      state: unfinished ? UNFINISHED : state,
    })),
  };
}
