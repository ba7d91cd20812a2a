/** How the units of SkyPilot's clusters are changed one after the other: their first node keeps it. */
import { join } from "node:path";
import { stateDir } from "../lib/dirs";
import type { NodeShell } from "../lib/nodes";
import { keptRollout } from "../lib/nodeUnits";
import { UnitRollout } from "../lib/unitRollout";
import type { VerbContext } from "../lib/verb";
import { rolloutSchema } from "../plan/node/schema";
import { proofRequest } from "../plan/rollout";
import { findShells, shells } from "./nodes";
import type { SkyUnit } from "./spec";

/** What the commands of a deployment's pools tell each other; only one update of a stack runs at a time. */
export function rolloutDirectory(home: string): string {
  return join(stateDir(), "rollouts", home);
}

/** The rollout of a unit's pool, from the node that keeps it; undefined if the unit is changed at once. */
export async function rolloutOfUnit(input: SkyUnit, context: VerbContext): Promise<UnitRollout | undefined> {
  const { home, infra } = input;
  if (home === undefined) return undefined;
  const headOf = await shells(home, infra, context);
  const rollout = rolloutSchema.nullable().parse(await keptRollout(headOf(0), context.signal));
  if (rollout === null) return undefined;
  const found = new Map<string, ReturnType<typeof findShells>>();
  const shellOf = async (cluster: string, rank: number): Promise<NodeShell | undefined> => {
    const known = found.get(cluster) ?? findShells(cluster, infra, context);
    found.set(cluster, known);
    return (await known)?.(rank);
  };
  const nodes = { directory: rolloutDirectory(home), shellOf };
  return UnitRollout.of(input, { ...rollout, request: proofRequest(rollout) }, nodes);
}
