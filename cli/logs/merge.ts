/** Merges the lines of many programs by time. Pure. */

/** A program's line, unchanged. */
export interface Line {
  /** Index of the program; also the order of lines with equal times. */
  readonly source: number;
  readonly text: string;
  /** Timestamp in the line, milliseconds since 1970; undefined if it has none. */
  readonly time: number | undefined;
}

export interface TimedLine extends Line {
  /** Sort key; undefined if its program has not logged any timestamp yet. */
  readonly at: number | undefined;
}

/**
 * Gives every line a time that never decreases within a program: a line without a timestamp (a stack trace, a
 * message of the launcher) gets that of the line before it, and lines before a program's first timestamp get
 * that one.
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
      // A clock that was set back does not reorder a program's lines.
      const at = said === undefined || before === undefined ? said : Math.max(said, before);
      if (at !== undefined) this.last.set(line.source, at);
      return { ...line, at };
    });
  }
}

/** Sorted by time; lines with equal times stay grouped by program, in their original order. */
export function merged(lines: readonly TimedLine[]): TimedLine[] {
  const order = (line: TimedLine) => line.at ?? Number.NEGATIVE_INFINITY;
  return lines.toSorted((a, b) => {
    if (order(a) !== order(b)) return order(a) < order(b) ? -1 : 1;
    return a.source - b.source;
  });
}
