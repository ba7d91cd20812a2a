/**
 * Position at which following a log resumes after a lost connection, so that no line is repeated or lost.
 * Pure.
 */

export class Resume {
  /** The last timestamp; undefined before the first. */
  private last: number | undefined;
  /**
   * Number of lines since the first one with that timestamp, inclusive: timestamps in seconds are often
   * equal.
   */
  private lines = 0;

  /**
   * @param begun When following started, milliseconds since 1970: older lines that were not printed are
   * skipped.
   */
  constructor(private readonly begun: number) {}

  /** The time from which lines must be read again. */
  get since(): number {
    return this.last ?? this.begun;
  }

  /** Records a printed line. @param time Its timestamp; undefined if it has none. */
  note(time: number | undefined): void {
    if (time !== undefined && (this.last === undefined || time > this.last)) {
      this.last = time;
      this.lines = 1;
    } else if (this.last !== undefined) this.lines++;
  }

  /** For repeated lines, in order: returns whether a line has not been printed yet. */
  filter(): (time: number | undefined) => boolean {
    const from = this.since;
    let toSkip = this.lines;
    let isThere = false;
    return (time) => {
      if (!isThere) {
        if (time === undefined || time < from) return false;
        isThere = true;
        // The printed lines with that timestamp have been rotated away.
        if (time > from) toSkip = 0;
      }
      if (toSkip === 0) return true;
      toSkip--;
      return false;
    };
  }
}
