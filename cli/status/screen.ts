/** A terminal that is drawn over in place. Sequences: https://invisible-island.net/xterm/ctlseqs/ctlseqs.html */

const ENTER = "\u001b[?1049h\u001b[?25l";
const LEAVE = "\u001b[?25h\u001b[?1049l";
const HOME = "\u001b[H";
/** From here to the end of the line, and to the end of the screen. */
const CLEAR_LINE = "\u001b[K";
const CLEAR_BELOW = "\u001b[J";

/**
 * Shows lines in place. Each is written over the one before it and only its rest is cleared, all in one write, so that nothing
 * flickers. The other screen of the terminal is used, so that what was there before comes back at the end.
 */
export class LiveScreen {
  private readonly restore = () => this.out.write(LEAVE);

  constructor(private readonly out: NodeJS.WriteStream) {
    out.write(ENTER);
    process.once("exit", this.restore);
  }

  /** @param rows Height of the terminal; what does not fit is left out, and told. */
  show(lines: readonly string[], rows: number): void {
    const left = lines.length - rows;
    const fitting = left > 0 ? [...lines.slice(0, rows - 1), `… ${left + 1} more lines`] : lines;
    this.out.write(`${HOME}${fitting.map((line) => `${line}${CLEAR_LINE}`).join("\n")}${CLEAR_BELOW}`);
  }

  close(): void {
    process.removeListener("exit", this.restore);
    this.restore();
  }
}
