/** Clients that send one request after the other. */
import { ask, type Endpoint } from "./harness";

export class Questions {
  readonly failures: string[] = [];
  /** Ids of the workers that have responded. */
  readonly workers = new Set<string>();
  answered = 0;
  longestSeconds = 0;
  private isOver = false;
  private readonly clients: readonly Promise<void>[];

  constructor(
    private readonly endpoint: Endpoint,
    count: number,
  ) {
    this.clients = Array.from({ length: count }, () => this.askOn());
  }

  async stop(): Promise<void> {
    this.isOver = true;
    await Promise.all(this.clients);
  }

  private async askOn(): Promise<void> {
    while (!this.isOver) {
      const begun = performance.now();
      try {
        const { tokens, worker } = await ask(this.endpoint, "Say hello.");
        if (tokens > 0) this.answered++;
        else this.failures.push("an answer without tokens");
        this.workers.add(worker);
        this.longestSeconds = Math.max(this.longestSeconds, (performance.now() - begun) / 1000);
      } catch (error) {
        this.failures.push(String(error));
      }
    }
  }
}
