/** What a deployment is sized for: GPUs that there are, or a load that it has to carry. Pure. */

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
}

/** The part of its throughput that a layout is asked for: all of it, unless there is a load. */
export function shareOf(need: Need, { ttft, tpot, requestsPerSecond }: Given, osl: number): number {
  if ("gpus" in need) return 1;
  const seconds = (ttft + tpot * (osl - 1)) / 1000;
  const rate = "rate" in need ? need.rate : need.concurrency / seconds;
  return Math.min(1, rate / requestsPerSecond);
}

/** `16 GPUs`, `30 requests/s`, `300 requests at a time`. */
export function needText(need: Need): string {
  if ("gpus" in need) return `${need.gpus} GPUs`;
  return "rate" in need ? `${need.rate} requests/s` : `${need.concurrency} requests at a time`;
}
