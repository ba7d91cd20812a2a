/** What a deployment is sized for: GPUs that there are, or a load that it has to carry. Pure. */
import { counted } from "../../lib/words";

/** Exactly one of them, in the words of `predict.py`. */
export type Need =
  | { readonly gpus: number }
  /** Requests a second. */
  | { readonly rate: number }
  /** Clients that each send a request, wait for its answer, and send the next. */
  | { readonly concurrency: number };

/** What a layout gives, in milliseconds. */
interface Given {
  readonly ttft: number;
  readonly tpot: number;
  readonly requestsPerSecond: number;
  readonly tokensPerSecond: number;
}

/**
 * Tokens a second that a layout is paid for: all that it can, unless there is a load. Those of a rate are the
 * same for every layout, to the last digit, so that rounded predictions do not decide which is cheaper.
 */
export function tokensWanted(need: Need, given: Given, osl: number): number {
  if ("gpus" in need) return given.tokensPerSecond;
  if ("rate" in need) return need.rate * osl;
  const seconds = (given.ttft + given.tpot * (osl - 1)) / 1000;
  return Math.min(need.concurrency / seconds, given.requestsPerSecond) * osl;
}

/** `16 GPUs`, `30 requests/s`, `300 requests at a time`. */
export function needText(need: Need): string {
  if ("gpus" in need) return counted(need.gpus, "GPU");
  return "rate" in need ? `${need.rate} requests/s` : `${counted(need.concurrency, "request")} at a time`;
}
