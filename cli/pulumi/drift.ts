import { OBSERVED } from "../../components/driverCommand";
import type { Step } from "./steps";

/** One difference from the configuration. */
export interface Drift {
  /** Name of the resource: `dynamo-main-launch`. */
  readonly resource: string;
  /**
   * `lost`: something that should run does not. `pending`: a change of the configuration has not been applied
   * yet.
   */
  readonly kind: "lost" | "pending";
  /** What is wrong, or what would be done. */
  readonly reason: string;
}

/** Differences between a stack and its configuration, from the steps of a preview. Empty: in sync. */
export function driftOf(steps: readonly Step[]): Drift[] {
  return steps.map(({ name, op, changes }) => {
    const observed = changes.find((change) => change.startsWith(`environment.${OBSERVED}`));
    const [, seen] = observed?.split(" → ") ?? [];
    if (observed !== undefined)
      return { resource: name, kind: "lost", reason: seen ?? "it does not run as it should" };
    const what = changes.length === 0 ? "" : `: ${changes.join("; ")}`;
    return { resource: name, kind: "pending", reason: `to ${op}${what}` };
  });
}
