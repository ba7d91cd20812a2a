/** What an operator asks the nodes of a deployment. */
import type { ScaledPool } from "../../plan/scale";
import type { Deployed } from "../deployment/deployed";
import { type Reach, reach as reachNodes } from "../deployment/reach";
import { lastAsked } from "./asked";
import { type Decision, lastDecision } from "./decisions";
import { lostOf } from "./lost";
import { giveBack, type OnDemand, onDemandOf } from "./spot";
import { type Count, countOf } from "./traffic";

export interface Nodes {
  /** As {@link lastDecision}. */
  decision(
    deployed: Deployed,
    pools: readonly ScaledPool[],
    done: Decision["id"] | undefined,
  ): Promise<Decision | undefined>;
  /** As {@link lostOf}. */
  lost(deployed: Deployed): Promise<string[]>;
  /** As {@link onDemandOf}. */
  onDemand(deployed: Deployed, names: readonly string[]): Promise<OnDemand[]>;
  /** As {@link giveBack}. */
  giveBack(deployed: Deployed, found: OnDemand): Promise<void>;
  /** As {@link countOf}. */
  count(deployed: Deployed): Promise<Count>;
  /** As {@link lastAsked}. */
  asked(deployed: Deployed): Promise<Date | undefined>;
}

/** The deployment's own, reached anew for each question: it may have other nodes since the last one. */
export function reachedNodes(signal: AbortSignal): Nodes {
  const reached = async <T>(deployed: Deployed, work: (reach: Reach) => Promise<T>): Promise<T> => {
    const reach = await reachNodes(deployed, signal);
    try {
      return await work(reach);
    } finally {
      reach.close();
    }
  };
  return {
    decision: (deployed, pools, done) =>
      reached(deployed, (reach) => lastDecision(deployed, reach, pools, done, signal)),
    lost: (deployed) => reached(deployed, (reach) => lostOf(deployed, reach, signal)),
    onDemand: (deployed, names) => reached(deployed, (reach) => onDemandOf(deployed, reach, names)),
    giveBack: (deployed, found) => giveBack(deployed, found, signal),
    count: (deployed) => reached(deployed, (reach) => countOf(deployed, reach, signal)),
    asked: (deployed) => reached(deployed, (reach) => lastAsked(deployed, reach, signal)),
  };
}
