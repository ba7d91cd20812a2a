/** Clients of a deployment under test, with the real `openai` package. */
import OpenAI from "openai";
import type { TestDeployment } from "./support";

export function clientOf({ endpoint }: Pick<TestDeployment, "endpoint">): OpenAI {
  return new OpenAI({ baseURL: `${endpoint}/v1`, apiKey: "none", maxRetries: 0 });
}

/** Sends requests one after the other in several parallel loops until it is stopped. */
export class Clients {
  readonly failures: string[] = [];
  answered = 0;
  private isOver = false;
  private readonly lines: readonly Promise<void>[];

  private readonly client: OpenAI;

  constructor(
    private readonly deployment: Pick<TestDeployment, "endpoint" | "plan">,
    count: number,
  ) {
    this.client = clientOf(deployment);
    this.lines = Array.from({ length: count }, () => this.line());
  }

  async stop(): Promise<void> {
    this.isOver = true;
    await Promise.all(this.lines);
  }

  private async line(): Promise<void> {
    while (!this.isOver) {
      try {
        const answer = await this.client.chat.completions.create(
          {
            model: this.deployment.plan.model,
            messages: [{ role: "user", content: "Say hello." }],
            max_tokens: 16,
          },
          { timeout: 30_000 },
        );
        if (answer.usage?.completion_tokens === 16) this.answered++;
        else this.failures.push(JSON.stringify(answer));
      } catch (error) {
        this.failures.push(String(error));
      }
    }
  }
}
