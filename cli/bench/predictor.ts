/** Asks AIConfigurator about what was measured, when that has ended: both need processors. */
import { messageOf } from "../../lib/run";
import type { Progress } from "../../toolchain/index";
import {
  AICONFIGURATOR_MEGABYTES,
  type Estimated,
  type EstimateQuestion,
  estimate,
  hasAiconfigurator,
} from "../size/aiconfigurator";
import { predictionOf, questionOf } from "./prediction";
import type { Prediction, Summary } from "./summary";
import type { BenchTarget } from "./target";

/** Who is asked; tests have recorded answers. */
export interface Predictor {
  /** Whether it answers without an installation. */
  readonly isThere: () => boolean;
  readonly ask: (question: EstimateQuestion, onProgress: Progress) => Promise<Estimated>;
}

const AICONFIGURATOR: Predictor = { isThere: hasAiconfigurator, ask: estimate };

/**
 * @param wanted True: it is installed if it is not there. False: there is none. Undefined: only if it is
 * there.
 * @returns The prediction, or why there is none; a measurement never fails because of it.
 */
export async function predicted(
  target: Pick<BenchTarget, "engine" | "layout" | "gpus">,
  measured: Pick<Summary, "load" | "points">,
  wanted: boolean | undefined,
  onProgress: Progress,
  { isThere, ask }: Predictor = AICONFIGURATOR,
): Promise<Prediction | undefined> {
  if (wanted === false) return undefined;
  const asked = questionOf(target, measured);
  if ("missing" in asked) return asked;
  if (wanted === undefined && !isThere())
    return {
      missing: `AIConfigurator is not installed; --predict installs it (${AICONFIGURATOR_MEGABYTES} MB)`,
    };
  try {
    onProgress(`Asking AIConfigurator what ${asked.engine} on ${asked.accelerator} should give …`);
    return predictionOf(asked, await ask(asked.question, onProgress), measured, target.gpus);
  } catch (error) {
    const [line = ""] = messageOf(error).split("\n");
    return { missing: `AIConfigurator failed: ${line}` };
  }
}
