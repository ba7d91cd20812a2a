/**
 * One HTTP request. Not `fetch`: it rejects ports that are fine here, and keeps connections open, for which
 * servers wait when they stop.
 */
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { text } from "node:stream/consumers";
import { connect, type TLSSocket } from "node:tls";
import { codeOf } from "./errors";

export interface HttpCall {
  /** Sent as JSON by POST. Default: a GET without a body. */
  readonly body?: unknown;
  /** The same, as JSON already. */
  readonly rawBody?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * SHA-256 fingerprint that the server's certificate must have, regardless of its issuer and names. Default:
   * the system's trust store.
   */
  readonly fingerprint?: string | undefined;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
}

/**
 * @throws Error with a message that fits after "waiting for X:" if there is no response, and the signal's
 * reason if it is aborted.
 */
export async function callHttp(
  url: string,
  { body, rawBody, headers, fingerprint, timeoutMs, signal }: HttpCall,
): Promise<HttpAnswer> {
  const json = rawBody ?? (body === undefined ? undefined : JSON.stringify(body));
  const payload = json === undefined ? undefined : Buffer.from(json);
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
      // A given connection is only used without an agent.
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

/** A connection that verifies the certificate's fingerprint before anything is sent. */
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

/** Describes a connection error. */
export function inWords(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (codeOf(error) === "ECONNREFUSED") return "nothing listens there yet";
  if (codeOf(error) === "ECONNRESET") return "the connection was closed";
  return error.message;
}
