/** Checks of the pools' spot instances. */
import { mostReplicas, usesSpot } from "../pools";
import type { Problem } from "../problems";
import { show } from "../values";
import type { Known } from ".";

type Pool = NonNullable<Known["pools"]>[number];

export function spotChecks(known: Known): Problem[] {
  return (known.pools ?? []).flatMap((pool, index) =>
    problemsOf(pool, known).map(([key, message]) => ({ path: ["pools", index, "spot", key], message })),
  );
}

type Key = keyof Pool["spot"];

/** The settings of a pool, as far as they are not the usual ones. */
function said({ spot }: Pool): [Key, unknown][] {
  const { use, onDemandBase, fallback } = spot;
  return [
    ...(use === undefined ? [] : [["use", use] as [Key, unknown]]),
    ...(onDemandBase === 0 ? [] : [["onDemandBase", onDemandBase] as [Key, unknown]]),
    ...(fallback ? [["fallback", fallback] as [Key, unknown]] : []),
  ];
}

function problemsOf(pool: Pool, { placement, target, sky }: Known): [Key, string][] {
  if (placement === "shared") {
    const why =
      target === "local"
        ? "with target local nothing is rented. Remove it."
        : "with placement shared all pools are on one cluster, with the control plane. Set placement to dedicated; or sky.useSpot, for the whole cluster.";
    return said(pool).map(([key, value]) => [key, `${show(value)} cannot be kept: ${why}`]);
  }
  if (placement === undefined || sky === undefined) return [];
  if (!usesSpot(pool, sky.useSpot)) {
    const why = "has no effect on a pool that is on demand. Set spot.use to true, or remove it.";
    return said(pool).flatMap(([key, value]) => (key === "use" ? [] : [[key, `${show(value)} ${why}`]]));
  }
  const most = mostReplicas(pool);
  const { onDemandBase } = pool.spot;
  if (onDemandBase < most) return [];
  const allowed = most === 1 ? "0" : `0 to ${most - 1}`;
  return [
    [
      "onDemandBase",
      `${onDemandBase} leaves no replica on spot instances: there are at most ${most}. Allowed: ${allowed}; or set spot.use to false.`,
    ],
  ];
}
