const bold = (text: string, terminal: boolean) => (terminal ? `\u001b[1m${text}\u001b[0m` : text);

/** Output of the demo: headings, lines, and a streamed response. */
export class Screen {
  private readonly started = Date.now();

  /** @param out Default: standard output. */
  constructor(private readonly out: NodeJS.WriteStream = process.stdout) {}

  heading(text: string): void {
    const seconds = ((Date.now() - this.started) / 1000).toFixed(0);
    this.out.write(`\n${bold(`── ${text}`, this.out.isTTY)} (${seconds} s)\n`);
  }

  say(line: string): void {
    this.out.write(`  ${line}\n`);
  }

  /** A chunk of a response. Control characters from the model are removed. */
  stream(text: string): void {
    if (!this.isStreaming) this.out.write("  ");
    this.isStreaming = true;
    this.out.write(text.replace(/\p{Cc}/gu, " "));
  }

  endStream(): void {
    this.isStreaming = false;
    this.out.write("\n");
  }

  private isStreaming = false;
}
