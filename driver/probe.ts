/** Asks a {@link Probe} of the plan from this machine. `ask` in `node/launch.py` does the same on a node. */
import { request } from "node:http";
import { connect } from "node:net";
import type { Probe } from "../plan/types";

const PROBE_MS = 2000;

/** Values by name of the placeholder. */
export type Placeholders = Readonly<Record<string, string>>;

/** Undefined when the condition holds, else what was seen instead. */
export async function ask(
  probe: Probe,
  values: Placeholders,
  signal: AbortSignal,
): Promise<string | undefined> {
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(PROBE_MS)]);
  return probe.kind === "http"
    ? askHttp(fillIn(probe.url, values), bounded)
    : askTcp(fillIn(probe.host, values), probe.port, bounded);
}

/** What is asked, for a message. */
export function describeProbe(probe: Probe, values: Placeholders): string {
  return probe.kind === "http" ? fillIn(probe.url, values) : `${fillIn(probe.host, values)}:${probe.port}`;
}

function fillIn(text: string, values: Placeholders): string {
  return text.replace(/\{\{([A-Z0-9_]+)\}\}/g, (placeholder, name: string) => values[name] ?? placeholder);
}

// Not `fetch`: it keeps connections open, which a program that stops gracefully waits for.
function askHttp(url: string, signal: AbortSignal): Promise<string | undefined> {
  return new Promise((resolve) => {
    const call = request(url, { agent: false, signal }, (response) => {
      response.resume();
      const { statusCode = 0 } = response;
      resolve(statusCode >= 200 && statusCode < 300 ? undefined : `HTTP ${statusCode}`);
    });
    call.on("error", (error) => resolve(describe(error)));
    call.end();
  });
}

function askTcp(host: string, port: number, signal: AbortSignal): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, signal });
    socket.on("error", (error) => resolve(describe(error)));
    socket.on("connect", () => {
      socket.destroy();
      resolve(undefined);
    });
  });
}

function describe(error: NodeJS.ErrnoException): string {
  if (error.code === "ECONNREFUSED") return "nothing listens there yet";
  return error.name === "AbortError" ? `no answer within ${PROBE_MS / 1000} s` : error.message;
}
