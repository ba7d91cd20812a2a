/**
 * Runs a {@link Probe} of the plan from this machine. `ask` in `runtime/launch.py` does the same on a node.
 */
import { connect } from "node:net";
import { callHttp, inWords } from "./http";

const PROBE_MS = 2000;

/** How to test a condition. Hosts and URLs may hold placeholders. */
export type Probe =
  | { readonly kind: "http"; readonly url: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number };

/** Values by placeholder name. */
export type Placeholders = Readonly<Record<string, string>>;

/** Undefined if the condition holds, otherwise what was seen instead. */
export async function ask(
  probe: Probe,
  values: Placeholders,
  signal: AbortSignal,
): Promise<string | undefined> {
  return probe.kind === "http"
    ? askHttp(fillIn(probe.url, values), signal)
    : askTcp(fillIn(probe.host, values), probe.port, signal);
}

/** Description of the probe for a message. */
export function describeProbe(probe: Probe, values: Placeholders): string {
  return probe.kind === "http" ? fillIn(probe.url, values) : `${fillIn(probe.host, values)}:${probe.port}`;
}

/** The text with the values of its placeholders. */
export function fillIn(text: string, values: Placeholders): string {
  return text.replace(/\{\{([A-Z0-9_]+)\}\}/g, (placeholder, name: string) => values[name] ?? placeholder);
}

async function askHttp(url: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    const { status } = await callHttp(url, { timeoutMs: PROBE_MS, signal });
    return status >= 200 && status < 300 ? undefined : `HTTP ${status}`;
  } catch (error) {
    signal.throwIfAborted();
    return inWords(error);
  }
}

function askTcp(host: string, port: number, signal: AbortSignal): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, signal, timeout: PROBE_MS });
    const end = (result: string | undefined): void => {
      socket.destroy();
      resolve(result);
    };
    socket.on("error", (error) => end(inWords(error)));
    socket.on("timeout", () => end(`no answer within ${PROBE_MS / 1000} s`));
    socket.on("connect", () => end(undefined));
  });
}
