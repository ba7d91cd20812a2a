/** Streamed chat requests, many at a time, by a client that costs so little that what it talks to shows. */
import { Pool } from "undici";

/** Where requests go, and as whom. */
export interface Endpoint {
  /** Base URL, without `/v1`. */
  readonly url: string;
  readonly model: string;
  /** Value of `Authorization`. Default: none is sent. */
  readonly authorization?: string | undefined;
  /** What is trusted, PEM. Default: the system's. */
  readonly ca?: string | undefined;
}

/** How many, and what of each. */
export interface Amount {
  readonly requests: number;
  /** So many are in progress at a time, each on a connection of its own that is kept. */
  readonly clients: number;
  readonly answerTokens: number;
  /** Is called at the first piece of each answer. */
  readonly onFirst?: () => void;
}

/** How one request ended. */
export interface StreamedAnswer {
  /** Of HTTP; 0 where there was no answer. */
  readonly status: number;
  /** Until the first piece of the answer, which has the first token, if it be one without text; NaN where there was none. Unit: milliseconds. */
  readonly firstMs: number;
  /** A stream that came to its end, `[DONE]`, with as many tokens as were asked for. */
  readonly isWhole: boolean;
  /** What went wrong, or what was said in the stream's place. */
  readonly problem: string | undefined;
}

/** Longer than any of these answers takes. Unit: milliseconds. */
const SILENCE_MS = 60_000;

/** Sends the requests, and resolves when each has ended, in whatever way: it does not reject, and repeats none. */
export async function sendStreams(endpoint: Endpoint, amount: Amount): Promise<StreamedAnswer[]> {
  const pool = new Pool(endpoint.url, {
    connections: amount.clients,
    headersTimeout: SILENCE_MS,
    bodyTimeout: SILENCE_MS,
    ...(endpoint.ca !== undefined && { connect: { ca: endpoint.ca } }),
  });
  const answers: StreamedAnswer[] = [];
  let left = amount.requests;
  const client = async () => {
    while (left > 0) {
      left -= 1;
      answers.push(await send(pool, endpoint, amount));
    }
  };
  try {
    await Promise.all(Array.from({ length: amount.clients }, client));
  } finally {
    await pool.close();
  }
  return answers;
}

async function send(
  pool: Pool,
  { model, authorization }: Endpoint,
  { answerTokens, onFirst }: Amount,
): Promise<StreamedAnswer> {
  const body = JSON.stringify({
    model,
    messages: [{ role: "user", content: "Hello?" }],
    max_tokens: answerTokens,
    stream: true,
    stream_options: { include_usage: true },
  });
  const headers = {
    "content-type": "application/json",
    ...(authorization !== undefined && { authorization }),
  };
  const started = performance.now();
  let status = 0;
  let firstMs = Number.NaN;
  let text = "";
  try {
    const answer = await pool.request({ method: "POST", path: "/v1/chat/completions", headers, body });
    status = answer.statusCode;
    for await (const piece of answer.body.setEncoding("utf8")) {
      text += piece;
      if (!Number.isNaN(firstMs)) continue;
      firstMs = performance.now() - started;
      onFirst?.();
    }
  } catch (error) {
    return { status, firstMs, isWhole: false, problem: String(error) };
  }
  const isWhole = status === 200 && isComplete(text, answerTokens);
  return { status, firstMs, isWhole, problem: isWhole ? undefined : text };
}

/** Is this a stream of server-sent events that ends as it should, with so many tokens by its own count? */
function isComplete(text: string, tokens: number): boolean {
  const counted = /"completion_tokens":(\d+)/.exec(text)?.[1];
  const isFinished = text.includes('"finish_reason":"length"') && text.endsWith("data: [DONE]\n\n");
  return isFinished && Number(counted) === tokens;
}
