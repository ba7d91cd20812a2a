/** A terminal redrawn in place. Sequences: https://invisible-island.net/xterm/ctlseqs/ctlseqs.html */

const ENTER = "\u001b[?1049h\u001b[?25l";
const LEAVE = "\u001b[?25h\u001b[?1049l";
const HOME = "\u001b[H";
/** Clear to the end of the line, and to the end of the screen. */
const CLEAR_LINE = "\u001b[K";
const CLEAR_BELOW = "\u001b[J";

/**
 * Shows lines in place. Lines are overwritten and only their rest is cleared, all in one write, to avoid
 * flicker. Uses the terminal's alternate screen, so that the previous content is restored at the end.
 */
export class LiveScreen {
  private readonly restore = () => this.out.write(LEAVE);

  constructor(private readonly out: NodeJS.WriteStream) {
    out.write(ENTER);
    process.once("exit", this.restore);
  }

  /** @param rows Height of the terminal; lines that do not fit are omitted, with a note. */
  show(lines: readonly string[], rows: number): void {
    const hidden = lines.length - rows;
    const fitting = hidden > 0 ? [...lines.slice(0, rows - 1), `… ${hidden + 1} more lines`] : lines;
    this.out.write(`${HOME}${fitting.map((line) => `${line}${CLEAR_LINE}`).join("\n")}${CLEAR_BELOW}`);
  }

  close(): void {
    process.removeListener("exit", this.restore);
    this.restore();
  }
}
