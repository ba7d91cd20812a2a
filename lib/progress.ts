/** Progress of a verb: short lines on standard error, each with the seconds since the start. */

// Pulumi's command plugin hangs for ever on an output line of 64 KiB; 1 KB is also a readable limit.
const LONGEST_LINE_BYTES = 1000;

export class Progress {
  private readonly started = performance.now();

  /** @param write Called with whole lines including their line feed. Default: standard error. */
  constructor(private readonly write: (line: string) => void = (line) => process.stderr.write(line)) {}

  /** Seconds since the verb started. */
  get elapsedSeconds(): number {
    return (performance.now() - this.started) / 1000;
  }

  /** Prints a line; text with several lines is printed as several. */
  readonly line = (text: string): void => {
    const elapsed = `[${this.elapsedSeconds.toFixed(1).padStart(6)} s]`;
    for (const line of printable(text)) this.write(`${elapsed} ${line}\n`);
  };

  /** Prints text without the elapsed time, for the last message of a failure. */
  readonly plain = (text: string): void => {
    for (const line of printable(text)) this.write(`${line}\n`);
  };
}

/**
 * Splits text into lines without control characters (progress bars and colours of other programs), none over
 * the limit.
 */
export function printable(text: string): string[] {
  return text
    .split(/\r\n|\r|\n/)
    .map(stripControls)
    .filter((line, index, lines) => line !== "" || (index > 0 && index < lines.length - 1))
    .map(shorten);
}

/** Removes colours and control characters, which are unsafe to print to a terminal. */
export function stripControls(line: string): string {
  // From its code point, since linters reject a control character in a regular expression.
  const escapeCharacter = String.fromCodePoint(27);
  const colours = new RegExp(`${escapeCharacter}\\[[0-9;?]*[A-Za-z]`, "g");
  return line
    .replace(colours, "")
    .replace(/\p{Cc}/gu, " ")
    .trimEnd();
}

function shorten(line: string): string {
  if (Buffer.byteLength(line) <= LONGEST_LINE_BYTES) return line;
  // Truncation may split a character; the decoder replaces its first half, which is then removed.
  return `${Buffer.from(line)
    .subarray(0, LONGEST_LINE_BYTES)
    .toString("utf8")
    .replace(/\uFFFD$/, "")} …`;
}
