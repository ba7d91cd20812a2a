/** Limits of each engine: flags and their combinations. What fits the GPUs is checked by packing. */

import { engines } from "../../engines";
import type { Problem } from "../problems";
import type { Known } from ".";

export function engineChecks(known: Known): Problem[] {
  const { engine, pools = [] } = known;
  if (engine === undefined) return [];
  const { rules } = engines[engine];
  return [
    ...pools.flatMap((pool, index) =>
      rules.pool(pool).map(({ key, message }) => ({ path: ["pools", index, key], message })),
    ),
    ...rules.whole(known),
  ];
}
