/**
 * Why a launch would fail although the configuration is valid: no access to a cloud, or a program missing on
 * this machine. Pure.
 */
import type { DeploymentConfig } from "../config/deployment";
import type { Problem } from "../config/problems";
import { listed, show } from "../config/values";
import { uniqueBy } from "../lib/uniqueBy";

/** `access`: to a cloud, or to what the configuration names there. `program`: missing on this machine. */
export const OBSTACLE_KINDS = ["access", "program"] as const;

/** Why nothing can be launched on an infra (`sky/access.py`). */
export interface Obstacle {
  /** As in the configuration; `*` if SkyPilot chooses. */
  readonly infra: string;
  readonly kind: (typeof OBSTACLE_KINDS)[number];
  /** `there is no rsync on PATH, by which SkyPilot brings files to nodes`. */
  readonly why: string;
  /** False if a launch checks again. */
  readonly certain: boolean;
}

const NAMED: (infra: string) => string = (infra) => (infra === "*" ? "any infra" : infra);

/** Warnings of a preview, which shows plan and price without access, too. */
export function obstacleCautions(obstacles: readonly Obstacle[]): string[] {
  return byReason(obstacles).map((reason) => `Nothing can be launched on ${reasonAndRemedy(reason)}`);
}

/** The problem of a launch that cannot succeed on any infra; none if one may work. */
export function obstacleProblems(
  { sky: { infra } }: Pick<DeploymentConfig, "sky">,
  obstacles: readonly Obstacle[],
): Problem[] {
  const certain = obstacles.filter((one) => one.certain);
  const places = infra.length === 0 ? ["*"] : infra;
  if (!places.every((place) => certain.some((one) => one.infra === place))) return [];
  const reasons = byReason(certain).map(reasonAndRemedy);
  const message = `${show(infra.length === 1 ? infra[0] : infra)}: nothing can be launched there. ${reasons.join(" ")}`;
  return [{ path: ["sky", "infra"], message }];
}

/** One reason, and all infras that have it. */
interface Reason extends Pick<Obstacle, "kind" | "why"> {
  readonly infra: readonly string[];
}

function byReason(obstacles: readonly Obstacle[]): Reason[] {
  return uniqueBy(obstacles, ({ why }) => why).map(({ kind, why }) => {
    const infra = obstacles.filter((one) => one.why === why).map((one) => NAMED(one.infra));
    return { kind, why, infra: [...new Set(infra)] };
  });
}

function reasonAndRemedy({ kind, why, infra }: Reason): string {
  return `${listed(infra)}: ${why}. ${remedyFor(kind, infra)}`;
}

function remedyFor(kind: Obstacle["kind"], infra: readonly string[]): string {
  if (kind === "program") return "Install it.";
  const clouds = [...new Set(infra.map((one) => one.split("/")[0]?.toLowerCase()))];
  return `Set it up, or take it out of sky.infra; what is missing, and how it is set up, says: sky check ${clouds.join(" ")}`;
}
