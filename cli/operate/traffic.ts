/** Since when nobody has asked a deployment. */
import type { Deployed } from "../deployment/deployed";
import type { Reach } from "../deployment/reach";
import { samplesOf, together, totalsOf } from "../status/metrics";
import { reportsOfNodes } from "../status/nodeReports";

const ANSWER_SECONDS = 20;

/** Counts of all frontends together. */
export interface Count {
  readonly requests: number;
  /** Requests that run or wait. */
  readonly open: number;
}

/** @throws Error if a node with a frontend does not answer: what it has served is then unknown. */
export async function countOf(deployed: Deployed, reach: Reach, signal: AbortSignal): Promise<Count> {
  const nodes = await reportsOfNodes(deployed, reach, () => true, {
    times: 1,
    every: 0,
    timeoutSeconds: ANSWER_SECONDS,
    signal,
  });
  const serving = nodes.filter(({ programs }) => programs.some(({ role }) => role === "frontend"));
  const told = serving.flatMap(({ answer }) =>
    "now" in answer ? Object.values(answer.now.frontends).map(({ metrics }) => metrics) : [undefined],
  );
  const lines = told.filter((one) => one !== undefined);
  if (lines.length === 0 || lines.length < told.length)
    throw new Error("a node with a frontend does not answer");
  const { requests, inflight, queued } = together(lines.map((one) => totalsOf(samplesOf(one))));
  return { requests, open: inflight + queued };
}

/** Remembers when the count has last changed, or something was open. */
export class Quiet {
  #requests: number | undefined;
  #since: Date | undefined;

  /** A deployment that nobody has counted yet was asked just now. @param count Undefined if unknown. */
  note(count: Count | undefined, now: Date): void {
    if (count !== undefined && count.open === 0 && count.requests === this.#requests) return;
    this.#requests = count?.requests;
    this.#since = now;
  }

  forget(): void {
    this.#requests = undefined;
    this.#since = undefined;
  }

  get since(): Date | undefined {
    return this.#since;
  }
}
