/**
 * Longest piece logged as one line, in UTF-16 units. The official plugin reads lines of at most 64 KiB; if
 * one is longer it stops reading and the command hangs for ever. Here it is logged in pieces instead.
 */
const LONGEST_LINE = 65_535;

/** Splits chunks of text into lines, without their ends (`\n` or `\r\n`). */
export class LineSplitter {
  readonly #onLine: (line: string) => void;
  #rest = "";

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  /** Adds the next chunk. */
  push(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#emit(line);
    while (this.#rest.length > LONGEST_LINE) {
      this.#onLine(this.#rest.slice(0, LONGEST_LINE));
      this.#rest = this.#rest.slice(LONGEST_LINE);
    }
  }

  /** Ends the text; the rest is a line too. */
  end(): void {
    if (this.#rest !== "") this.#emit(this.#rest);
    this.#rest = "";
  }

  #emit(line: string): void {
    let rest = line.endsWith("\r") ? line.slice(0, -1) : line;
    for (; rest.length > LONGEST_LINE; rest = rest.slice(LONGEST_LINE)) {
      this.#onLine(rest.slice(0, LONGEST_LINE));
    }
    this.#onLine(rest);
  }
}
