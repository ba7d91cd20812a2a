/** Whether a deployment should run now: its schedule, and how long nobody has asked. Pure. */
import type { DeploymentConfig } from "../../config/deployment";
import type { Due } from "../../plan/schedule";

export interface Rest {
  readonly to: "sleep" | "wake";
  readonly why: string;
  /** Whether that is because nobody asks. */
  readonly isIdle?: true;
}

/** What is known of a deployment. */
export interface Restful {
  /** Since when it is asleep; undefined if it runs. */
  readonly asleep: Date | undefined;
  /** When the last update by another than an operator began; undefined if there was none. */
  readonly updated: Date | undefined;
  /** Since when nobody has asked; undefined if that is unknown. */
  readonly quiet: Date | undefined;
}

/**
 * What to do, with the reason; undefined if it stays as it is. A person's update that began after an entry's
 * time wins over it: who brings a deployment up at night has it up until the next entry.
 */
export function restNow(
  { idle }: Pick<DeploymentConfig, "idle">,
  due: Due | undefined,
  { asleep, updated, quiet }: Restful,
  now: Date,
): Rest | undefined {
  const of = due && `schedule: ${due.entry.at} ${due.entry.zone}`;
  if (asleep !== undefined)
    return due !== undefined && !due.entry.down && due.since > asleep
      ? { to: "wake", why: `${of} brings it up` }
      : undefined;
  if (due?.entry.down && (updated === undefined || due.since > updated))
    return { to: "sleep", why: `${of} takes it down` };
  const { afterMinutes } = idle;
  if (afterMinutes === undefined || quiet === undefined) return undefined;
  if (now.getTime() - quiet.getTime() < afterMinutes * 60_000) return undefined;
  return { to: "sleep", why: `no request for ${afterMinutes} minutes (idle.afterMinutes)`, isIdle: true };
}
