/** When a deployment is how large, and when nothing of it runs. Kept by `dynamo-sky operate`. */
import { CronExpressionParser } from "cron-parser";
import { firstShown, shownUntil } from "../lib/wallClock";
import { WORKER_ROLES } from "./names";
import {
  decimal,
  dictionary,
  flag,
  list,
  oneOf,
  optional,
  required,
  section,
  setting,
  text,
  whole,
} from "./values";

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

/** What goes where nobody asks. */
const IDLE_ENDS = ["down", "workers-down"] as const;
export type IdleEnd = (typeof IDLE_ENDS)[number];

export const idleSchema = section({
  afterMinutes: optional(decimal({ min: 0, above: true }), {
    absent: "it stays up",
    unit: "minutes",
    about:
      "Without a request for so long, it is taken down as `then` says. An `up`, or an entry of the schedule, brings it up again.",
  }),
  then: setting(oneOf("what is taken down", IDLE_ENDS), {
    default: "down",
    about:
      "`down`: all of it, as by `down` of a `schedule`. `workers-down`: the workers of all pools, and the clusters of their own that they have with placement `dedicated`; the next request is answered with 503 and `Retry-After`, and brings them up again.",
  }),
});

/**
 * For how long a client is told to wait whose request starts workers, seconds. OpenAI's clients heed no more
 * than 60: https://github.com/openai/openai-python/blob/v1.109.1/src/openai/_base_client.py
 */
export const WAKING_SECONDS = 30;

/** One entry of a schedule, with the defaults. */
export type ScheduleEntry = ReturnType<typeof entrySchema.parse>;

/**
 * The last time at or before a moment, by the clocks of the zone: one that they jump over in spring is when
 * they jump, one that they show twice in autumn the first of the two, as cron has it.
 */
export function lastTime({ at, zone }: Pick<ScheduleEntry, "at" | "zone">, now: Date): Date {
  // `prev` is strictly before. Left to itself the parser leaves out what clocks jump over, a week's entry
  // too.
  const currentDate = new Date(shownUntil(zone, now.getTime()) + 1);
  const shown = CronExpressionParser.parse(at, { tz: "UTC", currentDate }).prev().toDate();
  return new Date(firstShown(zone, shown.getTime()));
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

/** Whether a time is understood does not depend on the present one. */
const ANY_TIME = new Date("2026-01-01T00:00:00Z");

function isUnderstood(at: string, zone: string): boolean {
  try {
    lastTime({ at, zone }, ANY_TIME);
    return true;
  } catch {
    return false;
  }
}
