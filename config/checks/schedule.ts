import type { WorkerRole } from "../names";
import { isScaled, mostReplicas } from "../pools";
import type { Problem } from "../problems";
import type { Known } from ".";

type Entry = NonNullable<Known["schedule"]>[number];

/** Rejects entries of the schedule that ask for nothing, or for what the pools do not have. */
export function scheduleChecks({ schedule = [], pools }: Known): Problem[] {
  return schedule.flatMap((entry, index) => {
    const at = (keys: readonly string[], message: string): Problem => ({
      path: ["schedule", index, ...keys],
      message,
    });
    const { down, minReplicas, maxReplicas } = entry;
    const twin = schedule.findIndex((one) => one.at === entry.at && one.zone === entry.zone);
    if (twin < index) {
      const message = `is that of schedule.${twin} too, of which nothing would count. Make one entry of both.`;
      return [at(["at"], message)];
    }
    const numbers = [...Object.keys(minReplicas), ...Object.keys(maxReplicas)];
    if (down && numbers.length > 0)
      return [at(["down"], "true leaves no replicas to count. Remove it, or minReplicas and maxReplicas.")];
    return [
      ...numberProblems(entry, "minReplicas", pools, at),
      ...numberProblems(entry, "maxReplicas", pools, at),
    ];
  });
}

function numberProblems(
  entry: Entry,
  key: "minReplicas" | "maxReplicas",
  pools: Known["pools"],
  at: (keys: readonly string[], message: string) => Problem,
): Problem[] {
  if (pools === undefined) return [];
  return Object.entries(entry[key]).flatMap(([role, wanted]) => {
    const pool = pools.find((one) => one.role === role && isScaled(one));
    if (pool === undefined)
      return [at([key, role], `${wanted} has no effect: no pool of this role has maxReplicas. Set that.`)];
    const { minReplicas = 1 } = pool;
    const most = mostReplicas(pool);
    if (wanted < minReplicas || wanted > most)
      return [
        at(
          [key, role],
          `${wanted} is not between the pool's minReplicas and maxReplicas. Allowed: ${minReplicas} to ${most}.`,
        ),
      ];
    const least = entry.minReplicas[role as WorkerRole] ?? minReplicas;
    if (key === "maxReplicas" && wanted < least)
      return [
        at(
          [key, role],
          `${wanted} is less than minReplicas of this entry, ${least}. Allowed: ${least} to ${most}.`,
        ),
      ];
    return [];
  });
}
