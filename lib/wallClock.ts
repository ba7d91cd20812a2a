/** Clocks on the wall of a time zone, which jump twice a year. Pure. */

const HOUR_MS = 3_600_000;
/** More than any zone's clocks jump at a time, and than two jumps are ever apart. */
const NEAR_MS = 26 * HOUR_MS;

/**
 * The latest time that a zone's clocks have shown until a moment, as if they were those of UTC: not the hour
 * that is shown a second time.
 */
export function shownUntil(zone: string, now: number): number {
  const jump = jumpBetween(zone, now - NEAR_MS, now);
  const shown = now + offset(zone, now);
  return jump === undefined ? shown : Math.max(shown, jump + offset(zone, jump - 1) - 1);
}

/** The first moment at which a zone's clocks show a time, or at which they jump over it. */
export function firstShown(zone: string, shown: number): number {
  const [earlier, later] = [offset(zone, shown - NEAR_MS), offset(zone, shown + NEAR_MS)];
  const moments = [shown - earlier, shown - later].filter((at) => at + offset(zone, at) === shown);
  if (moments.length > 0) return Math.min(...moments);
  return jumpBetween(zone, shown - later - NEAR_MS, shown - earlier + NEAR_MS) ?? shown - later;
}

/** The first moment with another offset than the one before it; undefined if there is none. */
function jumpBetween(zone: string, from: number, to: number): number | undefined {
  const before = offset(zone, from);
  if (offset(zone, to) === before) return undefined;
  let [low, high] = [from, to];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offset(zone, middle) === before) low = middle;
    else high = middle;
  }
  return high;
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** How far a zone's clocks are ahead of UTC. */
function offset(zone: string, at: number): number {
  const format = formats.get(zone) ?? formatOf(zone);
  formats.set(zone, format);
  const parts = new Map(format.formatToParts(at).map(({ type, value }) => [type, Number(value)]));
  const part = (type: Intl.DateTimeFormatPartTypes): number => parts.get(type) ?? 0;
  const shown = Date.UTC(
    part("year"),
    part("month") - 1,
    part("day"),
    part("hour"),
    part("minute"),
    part("second"),
  );
  return shown - Math.floor(at / 1000) * 1000;
}

function formatOf(timeZone: string): Intl.DateTimeFormat {
  const numeric = "numeric" as const;
  return new Intl.DateTimeFormat("en-US", {
    timeZone,
    calendar: "gregory",
    hourCycle: "h23",
    year: numeric,
    month: numeric,
    day: numeric,
    hour: numeric,
    minute: numeric,
    second: numeric,
  });
}
