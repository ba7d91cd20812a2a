/** Whether a deployment should run now: its schedule, and how long nobody has asked. Pure. */
import type { DeploymentConfig } from "../../config/deployment";
import type { IdleEnd } from "../../config/schedule";
import type { Due } from "../../plan/schedule";
import { clock } from "./journal";

export type Rest = Sleep | Wake;

export interface Wake {
  readonly to: "wake";
  readonly why: string;
}

export interface Sleep {
  readonly to: "sleep";
  /** What is taken down. */
  readonly what: IdleEnd;
  readonly why: string;
  /** Whether that is because nobody asks. */
  readonly isIdle?: true;
}

/** What is known of a deployment. */
export interface Restful {
  /** Since when nothing of it runs; undefined if something does. */
  readonly asleep: Date | undefined;
  /** Since when its workers are taken away, and nothing else. */
  readonly workersDown?: Date | undefined;
  /** When somebody has last asked and no worker was there; undefined if nobody has. */
  readonly asked?: Date | undefined;
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
  { asleep, workersDown, asked, updated, quiet }: Restful,
  now: Date,
): Rest | undefined {
  const of = due && `schedule: ${due.entry.at} ${due.entry.zone}`;
  if (asleep === undefined && due?.entry.down && (updated === undefined || due.since > updated))
    return { to: "sleep", what: "down", why: `${of} takes it down` };
  const since = asleep ?? workersDown;
  if (since !== undefined) {
    if (due !== undefined && !due.entry.down && due.since > since)
      return { to: "wake", why: `${of} brings it up` };
    if (asleep !== undefined || asked === undefined || asked <= since) return undefined;
    return { to: "wake", why: `a request came at ${clock(asked)}` };
  }
  const { afterMinutes, then } = idle;
  if (afterMinutes === undefined || quiet === undefined) return undefined;
  if (now.getTime() - quiet.getTime() < afterMinutes * 60_000) return undefined;
  const why = `no request for ${afterMinutes} minutes (idle.afterMinutes)`;
  return { to: "sleep", what: then, why, isIdle: true };
}
