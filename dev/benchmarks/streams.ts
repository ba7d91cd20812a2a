/**
 * Streamed chat requests with high concurrency, by a client with little overhead, so that the server's is
 * measurable.
 */
import { Pool } from "undici";
import type { RunningDeployment } from "../../cli/deployment/running";

/** Target and credentials of requests. */
export interface Endpoint {
  /** Base URL, without `/v1`. */
  readonly url: string;
  readonly model: string;
  /** Value of `Authorization`. Default: none is sent. */
  readonly authorization?: string | undefined;
  /** Trusted certificates, PEM. Default: the system's trust store. */
  readonly ca?: string | undefined;
}

/** The endpoint of a deployment with a key. */
export function withKey({ endpoint, model, apiKey, certificate }: RunningDeployment): Endpoint {
  return { url: endpoint, model, authorization: `Bearer ${apiKey}`, ca: certificate };
}

/** Number and size of requests. */
export interface Amount {
  readonly requests: number;
  /** No more are sent once it is true. Default: never. */
  readonly isOver?: () => boolean;
  /** Number of concurrent requests, each on its own keep-alive connection. */
  readonly clients: number;
  readonly answerTokens: number;
  /** Of the next request. Default: the same short one each time. */
  readonly prompt?: () => string;
  /** Is called at the first piece of each answer. */
  readonly onFirst?: () => void;
  /**
   * Is called before a request is sent once more because its connection was closed before any response, as
   * OpenAI's clients do: for other keys nginx closes idle connections, perhaps just when a client sends on
   * one. Default: no request is sent again.
   */
  readonly onAgain?: () => void;
}

/** Result of one request. */
export interface StreamedAnswer {
  /** HTTP status; 0 without a response. */
  readonly status: number;
  /**
   * Until the first chunk of the response, which has the first token, possibly without text; NaN without a
   * response. Unit: milliseconds.
   */
  readonly firstMs: number;
  /** Longest time without a chunk, from the request on. Unit: milliseconds. */
  readonly pauseMs: number;
  /** Whether the stream was complete, with `[DONE]` and the requested number of tokens. */
  readonly isWhole: boolean;
  /** The error, or the response instead of a stream. */
  readonly problem: string | undefined;
}

/** Longer than any of these responses takes. Unit: milliseconds. */
const SILENCE_MS = 60_000;

/** Sends the requests, and resolves when each has ended, in any way: it does not reject. */
export async function sendStreams(endpoint: Endpoint, amount: Amount): Promise<StreamedAnswer[]> {
  const pool = new Pool(endpoint.url, {
    connections: amount.clients,
    headersTimeout: SILENCE_MS,
    bodyTimeout: SILENCE_MS,
    ...(endpoint.ca !== undefined && { connect: { ca: endpoint.ca } }),
  });
  const answers: StreamedAnswer[] = [];
  let remaining = amount.requests;
  const client = async () => {
    while (remaining > 0 && amount.isOver?.() !== true) {
      remaining -= 1;
      let answer = await send(pool, endpoint, amount);
      if (amount.onAgain !== undefined && wasClosed(answer)) {
        amount.onAgain();
        answer = await send(pool, endpoint, amount);
      }
      answers.push(answer);
    }
  };
  try {
    await Promise.all(Array.from({ length: amount.clients }, client));
  } finally {
    await pool.close();
  }
  return answers;
}

function wasClosed({ status, problem = "" }: StreamedAnswer): boolean {
  return status === 0 && /other side closed|ECONNRESET|EPIPE/.test(problem);
}

async function send(
  pool: Pool,
  { model, authorization }: Endpoint,
  { answerTokens, prompt, onFirst }: Amount,
): Promise<StreamedAnswer> {
  const body = JSON.stringify({
    model,
    messages: [{ role: "user", content: prompt?.() ?? "Hello?" }],
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
  let pauseMs = 0;
  let last = started;
  const heard = () => {
    const now = performance.now();
    pauseMs = Math.max(pauseMs, now - last);
    last = now;
  };
  try {
    const answer = await pool.request({ method: "POST", path: "/v1/chat/completions", headers, body });
    status = answer.statusCode;
    for await (const piece of answer.body.setEncoding("utf8")) {
      text += piece;
      heard();
      if (!Number.isNaN(firstMs)) continue;
      firstMs = performance.now() - started;
      onFirst?.();
    }
  } catch (error) {
    heard();
    return { status, firstMs, pauseMs, isWhole: false, problem: String(error) };
  }
  const isWhole = status === 200 && isComplete(text, answerTokens);
  return { status, firstMs, pauseMs, isWhole, problem: isWhole ? undefined : text };
}

/**
 * Whether this is a complete stream of server-sent events, with the given number of tokens by its own count.
 */
function isComplete(text: string, tokens: number): boolean {
  const counted = /"completion_tokens":(\d+)/.exec(text)?.[1];
  const isFinished = text.includes('"finish_reason":"length"') && text.endsWith("data: [DONE]\n\n");
  return isFinished && Number(counted) === tokens;
}
