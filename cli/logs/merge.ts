/** The lines of many programs, in one order by time. Pure. */

/** A program's line as it came. */
export interface Line {
  /** Which program; the place of each in the order of equal times. */
  readonly source: number;
  readonly text: string;
  /** What it says itself, milliseconds since 1970; undefined where it says nothing. */
  readonly time: number | undefined;
}

export interface TimedLine extends Line {
  /** By which it is put in order; undefined where its program has not yet said any time. */
  readonly at: number | undefined;
}

/**
 * Gives every line a time that never falls within one program: a line without one (a stack trace, a message of the launcher)
 * belongs to the one before it, and those before a program's first time belong to that.
 */
export class Timeline {
  private readonly last = new Map<number, number>();

  /** @param lines In the order in which each program wrote them. */
  add(lines: readonly Line[]): TimedLine[] {
    const first = new Map<number, number>();
    for (const { source, time } of lines)
      if (time !== undefined && !first.has(source)) first.set(source, time);
    return lines.map((line) => {
      const before = this.last.get(line.source);
      const said = line.time ?? before ?? first.get(line.source);
      // A clock that was put back does not put a program's lines in another order.
      const at = said === undefined || before === undefined ? said : Math.max(said, before);
      if (at !== undefined) this.last.set(line.source, at);
      return { ...line, at };
    });
  }
}

/** In order of time; lines of the same time stay together by program, and each program's in the order that they have. */
export function merged(lines: readonly TimedLine[]): TimedLine[] {
  const order = (line: TimedLine) => line.at ?? Number.NEGATIVE_INFINITY;
  return lines.toSorted((a, b) => {
    if (order(a) !== order(b)) return order(a) < order(b) ? -1 : 1;
    return a.source - b.source;
  });
}
