/** Whether a deployment should run now: its schedule, and how long nobody has asked. Pure. */
import type { DeploymentConfig } from "../../config/deployment";
import type { Due } from "../../plan/schedule";

/** What is known of a deployment. */
export interface Restful {
  /** Since when it is asleep; undefined if it runs. */
  readonly asleep: Date | undefined;
  /** When its last update ended; undefined if that is unknown. */
  readonly updated: Date | undefined;
  /** Since when nobody has asked; undefined if that is unknown. */
  readonly quiet: Date | undefined;
}

/**
 * What to do, with the reason; undefined if it stays as it is. An update after an entry's time wins over the
 * entry: a person who brings a deployment up at night has it up until the next entry.
 */
export function restNow(
  { idle }: Pick<DeploymentConfig, "idle">,
  due: Due | undefined,
  { asleep, updated, quiet }: Restful,
  now: Date,
): { readonly to: "sleep" | "wake"; readonly why: string } | undefined {
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
  return { to: "sleep", why: `no request for ${afterMinutes} minutes (idle.afterMinutes)` };
}
