/** One HTTP request. Not `fetch`: it refuses ports that are fine here, and keeps connections open, on which servers wait when they stop. */
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { text } from "node:stream/consumers";

export interface HttpCall {
  /** Sent as JSON by POST. Default: a GET without a body. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
}

/**
 * @throws Error in words that fit after "waiting for X:" when there is no answer, and the signal's reason when it is
 *   aborted.
 */
export async function callHttp(
  url: string,
  { body, headers, timeoutMs, signal }: HttpCall,
): Promise<HttpAnswer> {
  const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  const timeout = AbortSignal.timeout(timeoutMs);
  const options = {
    method: payload === undefined ? "GET" : "POST",
    headers: {
      ...(payload === undefined
        ? {}
        : { "content-type": "application/json", "content-length": payload.length }),
      ...headers,
    },
    agent: false,
    signal: AbortSignal.any([signal, timeout]),
  } as const;
  try {
    return await new Promise<HttpAnswer>((resolve, reject) => {
      const send = url.startsWith("https:") ? requestHttps : requestHttp;
      const call = send(url, options, (response) => {
        const { statusCode = 0 } = response;
        text(response).then((content) => resolve({ status: statusCode, text: content }), reject);
      });
      call.on("error", reject);
      call.end(payload);
    });
  } catch (error) {
    signal.throwIfAborted();
    if (timeout.aborted) throw new Error(`no answer within ${timeoutMs / 1000} s`);
    throw new Error(inWords(error));
  }
}

/** What went wrong with a connection, in words. */
export function inWords(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ("code" in error && error.code === "ECONNREFUSED") return "nothing listens there yet";
  if ("code" in error && error.code === "ECONNRESET") return "the connection was closed";
  return error.message;
}
