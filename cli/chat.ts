import OpenAI from "openai";
import { dispatcherFor } from "../toolchain/pinned";
import type { RunningDeployment } from "./deployment/running";

export interface StreamedAnswer {
  readonly tokens: number;
  /** Milliseconds from the request to the first token (TTFT). */
  readonly firstMs: number;
  readonly totalMs: number;
}

const TIMEOUT_MS = 120_000;
const MAX_TOKENS = 48;

/** OpenAI's client of a deployment: with its key, and for the server that shows its certificate. */
export function clientOf({ endpoint, apiKey, fingerprint }: RunningDeployment): OpenAI {
  return new OpenAI({
    baseURL: `${endpoint}/v1`,
    apiKey: apiKey ?? "none",
    timeout: TIMEOUT_MS,
    fetchOptions: dispatcherFor(fingerprint),
  });
}

/**
 * Asks one question and hands over the answer piece by piece, as it arrives.
 * @throws Error when the answer holds no token.
 */
export async function streamAnswer(
  deployment: RunningDeployment,
  question: string,
  onText: (text: string) => void,
  signal?: AbortSignal,
): Promise<StreamedAnswer> {
  const { endpoint, model } = deployment;
  const client = clientOf(deployment);
  const started = performance.now();
  let firstMs: number | undefined;
  let tokens = 0;
  const stream = await client.chat.completions.create(
    {
      model,
      messages: [{ role: "user", content: question }],
      max_tokens: MAX_TOKENS,
      stream: true,
      stream_options: { include_usage: true },
    },
    signal === undefined ? {} : { signal },
  );
  for await (const { choices, usage } of stream) {
    const text = choices[0]?.delta.content ?? "";
    if (text !== "") {
      firstMs ??= performance.now() - started;
      onText(text);
    }
    tokens = usage?.completion_tokens ?? tokens;
  }
  if (firstMs === undefined || tokens === 0)
    throw new Error(`${endpoint} answered, but without a single token.`);
  return { tokens, firstMs, totalMs: performance.now() - started };
}
