/** Where in a program's log following goes on after a lost connection: no line is told twice, and none is left out. Pure. */

export class Resume {
  /** Of the last line that said a time; undefined before the first. */
  private last: number | undefined;
  /** Lines that were told since the first one of that time, that one included: a clock of seconds gives many lines one time. */
  private lines = 0;

  /** @param begun When following began, milliseconds since 1970: what is older and was not told is not wanted. */
  constructor(private readonly begun: number) {}

  /** From when on lines have to be read again. */
  get since(): number {
    return this.last ?? this.begun;
  }

  /** Notes a line that was told. @param time What it says itself; undefined where it says nothing. */
  note(time: number | undefined): void {
    if (time !== undefined && (this.last === undefined || time > this.last)) {
      this.last = time;
      this.lines = 1;
    } else if (this.last !== undefined) this.lines++;
  }

  /** For the lines that come again, in their order: whether one was not told before. */
  filter(): (time: number | undefined) => boolean {
    const from = this.since;
    let toSkip = this.lines;
    let isThere = false;
    return (time) => {
      if (!isThere) {
        if (time === undefined || time < from) return false;
        isThere = true;
        // What was told of that time has been rotated away.
        if (time > from) toSkip = 0;
      }
      if (toSkip === 0) return true;
      toSkip--;
      return false;
    };
  }
}
