/** One HTTP request. Not `fetch`: it refuses ports that are fine here, and keeps connections open, on which servers wait when they stop. */
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { text } from "node:stream/consumers";
import { connect, type TLSSocket } from "node:tls";

export interface HttpCall {
  /** Sent as JSON by POST. Default: a GET without a body. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** SHA-256 of the certificate that the server must show, whoever signed it and for whatever name. Default: what the system trusts. */
  readonly fingerprint?: string | undefined;
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
  { body, headers, fingerprint, timeoutMs, signal }: HttpCall,
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
    const socket =
      fingerprint === undefined ? undefined : await connectPinned(url, fingerprint, options.signal);
    return await new Promise<HttpAnswer>((resolve, reject) => {
      const send = url.startsWith("https:") ? requestHttps : requestHttp;
      // A connection that is given counts only where there is no agent at all.
      const connection = socket === undefined ? {} : { agent: undefined, createConnection: () => socket };
      const call = send(url, { ...options, ...connection }, (response) => {
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

/** A connection to who shows the certificate, and to nobody else: nothing is sent before that is known. */
function connectPinned(url: string, fingerprint: string, signal: AbortSignal): Promise<TLSSocket> {
  const { hostname, port } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, "");
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: Number(port || 443), rejectUnauthorized: false });
    const abandon = (): void => {
      socket.destroy(signal.reason);
    };
    signal.addEventListener("abort", abandon, { once: true });
    socket.once("error", reject);
    socket.once("secureConnect", () => {
      socket.removeListener("error", reject);
      signal.removeEventListener("abort", abandon);
      const shown = socket.getPeerCertificate().fingerprint256;
      if (shown === fingerprint) return resolve(socket);
      socket.destroy();
      reject(new Error(`it shows another certificate (SHA-256 ${shown}) than that of this deployment`));
    });
  });
}

/** What went wrong with a connection, in words. */
export function inWords(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ("code" in error && error.code === "ECONNREFUSED") return "nothing listens there yet";
  if ("code" in error && error.code === "ECONNRESET") return "the connection was closed";
  return error.message;
}
