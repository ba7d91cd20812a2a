/** What a deployment's schedule asks for at a moment. Pure. */
import type { DeploymentConfig } from "../config/deployment";
import { lastTime, type ScheduleEntry } from "../config/schedule";
import type { ScaledPool } from "./scale";

/** The entry that counts, and since when. */
export interface Due {
  readonly since: Date;
  readonly entry: ScheduleEntry;
}

/**
 * The entry whose time was last; undefined without a schedule. Of several at one time the last one counts.
 */
export function dueAt({ schedule }: Pick<DeploymentConfig, "schedule">, now: Date): Due | undefined {
  return schedule
    .map((entry): Due => ({ entry, since: lastTime(entry, now) }))
    .reduce<Due | undefined>(
      (last, one) => (last === undefined || one.since >= last.since ? one : last),
      undefined,
    );
}

/** What who brings it up while its schedule has it down should know. */
export function nightCautions(config: Pick<DeploymentConfig, "schedule">, now: Date): string[] {
  const due = dueAt(config, now);
  if (!due?.entry.down) return [];
  const of = `${due.entry.at} ${due.entry.zone}`;
  return [
    `dynamo-sky:schedule has it down since ${due.since.toISOString()} (${of}): an \`up\` now brings it up, until the next entry.`,
  ];
}

/** The bounds of pools at that time: their own, and within them the entry's. */
export function boundsOf(pools: readonly ScaledPool[], due: Due | undefined): ScaledPool[] {
  return due === undefined ? [...pools] : scheduledBounds(pools, due.entry);
}

/** The same while an entry counts. */
export function scheduledBounds(
  pools: readonly ScaledPool[],
  { minReplicas, maxReplicas }: Pick<ScheduleEntry, "minReplicas" | "maxReplicas">,
): ScaledPool[] {
  return pools.map((pool) => {
    const min = Math.max(pool.min, minReplicas[pool.role] ?? pool.min);
    return { ...pool, min, max: Math.max(min, Math.min(pool.max, maxReplicas[pool.role] ?? pool.max)) };
  });
}
