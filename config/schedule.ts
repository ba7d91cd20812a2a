/** When a deployment is how large, and when nothing of it runs. Kept by `dynamo-sky operate`. */
import { CronExpressionParser } from "cron-parser";
import { WORKER_ROLES } from "./names";
import { decimal, dictionary, flag, list, optional, required, section, setting, text, whole } from "./values";

/** Fields of a line of cron: https://man7.org/linux/man-pages/man5/crontab.5.html */
const CRON_FIELDS = 5;

const replicas = () =>
  dictionary(
    "roles of pools and numbers of replicas",
    {
      noun: "a role",
      allowed: WORKER_ROLES.join(", "),
      pattern: new RegExp(`^(${WORKER_ROLES.join("|")})$`),
    },
    whole({ min: 1, max: 10_000 }),
  );

const entrySchema = section({
  at: required(
    text({
      noun: "a time of cron",
      allowed: 'minute, hour, day, month and day of the week, such as "0 8 * * 1-5"',
      accepts: isCron,
    }),
    {
      about:
        "From when on, as a line of cron has it: minute, hour, day of the month, month, day of the week.",
    },
  ),
  zone: setting(
    text({
      noun: "a time zone",
      allowed: "a name of the IANA database, such as Europe/Berlin or UTC",
      accepts: isZone,
    }),
    { default: "UTC", about: "Time zone of `at`, summer time included." },
  ),
  minReplicas: setting(replicas(), {
    default: {},
    unit: "copies of the model",
    about: "From then on the fewest replicas by role, within the pool's own bounds.",
  }),
  maxReplicas: setting(replicas(), {
    default: {},
    unit: "copies of the model",
    about: "From then on the most. The same as the fewest: as many, whatever the planner decides.",
  }),
  down: setting(flag(), {
    default: false,
    about:
      "From then on nothing runs and nothing costs; names, keys and credentials are kept. The next entry brings it up again, as does any `up`.",
  }),
});

export const scheduleSchema = list("times", entrySchema);

export const idleSchema = section({
  afterMinutes: optional(decimal({ min: 0, above: true }), {
    absent: "it stays up",
    unit: "minutes",
    about:
      "Without a request for so long, everything is taken down as by `down` of a `schedule`. An `up`, or an entry of the schedule, brings it up again.",
  }),
});

/** One entry of a schedule, with the defaults. */
export type ScheduleEntry = ReturnType<typeof entrySchema.parse>;

/** @returns The last time at or before a moment. */
export function lastTime({ at, zone }: Pick<ScheduleEntry, "at" | "zone">, now: Date): Date {
  // `prev` is strictly before.
  const currentDate = new Date(now.getTime() + 1);
  return CronExpressionParser.parse(at, { tz: zone, currentDate }).prev().toDate();
}

/** Without `H` of Jenkins, which stands for a minute by chance. */
function isCron(written: string): boolean {
  const fields = written.trim().split(/\s+/);
  if (fields.length !== CRON_FIELDS || fields.some((field) => /(^|[,/-])H/i.test(field))) return false;
  return isUnderstood(written, "UTC");
}

/** A name, no offset: that has no summer time. */
function isZone(written: string): boolean {
  return /^[A-Za-z]/.test(written) && isUnderstood("0 0 * * *", written);
}

function isUnderstood(at: string, zone: string): boolean {
  try {
    lastTime({ at, zone }, new Date());
    return true;
  } catch {
    return false;
  }
}
