const bold = (text: string, terminal: boolean) => (terminal ? `\u001b[1m${text}\u001b[0m` : text);

/** What the demo shows: headings, lines, and an answer that arrives in pieces. */
export class Screen {
  private readonly started = Date.now();
  private readonly isTerminal = process.stdout.isTTY;

  heading(text: string): void {
    const seconds = ((Date.now() - this.started) / 1000).toFixed(0);
    console.log(`\n${bold(`── ${text}`, this.isTerminal)} (${seconds} s)`);
  }

  say(line: string): void {
    console.log(`  ${line}`);
  }

  /** A piece of an answer. Control characters that a model may send do not reach the terminal. */
  stream(text: string): void {
    if (!this.isStreaming) process.stdout.write("  ");
    this.isStreaming = true;
    process.stdout.write(text.replace(/\p{Cc}/gu, " "));
  }

  endStream(): void {
    this.isStreaming = false;
    process.stdout.write("\n");
  }

  private isStreaming = false;
}
