/**
 * Why a launch would fail although the configuration is valid: no access to a cloud, or a program missing on
 * this machine. Pure.
 */
import type { Problem } from "../config/problems";
import { listed, show } from "../config/values";
import type { DeploymentConfig } from "./config";

/** Why nothing can be launched on an infra (`sky/access.py`). */
export interface Obstacle {
  /** As in the configuration; `*` if SkyPilot chooses. */
  readonly infra: string;
  /** `there is no rsync on PATH, by which SkyPilot brings files to nodes`. */
  readonly why: string;
  /** False if a launch checks again. */
  readonly certain: boolean;
}

const NAMED: (infra: string) => string = (infra) => (infra === "*" ? "any infra" : infra);

/** Warnings of a preview, which shows plan and price without access, too. */
export function obstacleCautions(obstacles: readonly Obstacle[]): string[] {
  return byReason(obstacles).map(
    ([why, infra]) => `Nothing can be launched on ${listed(infra)}: ${why}.${remedyFor(why, infra)}`,
  );
}

/** The problem of a launch that cannot succeed on any infra; none if one may work. */
export function obstacleProblems(
  { sky: { infra } }: Pick<DeploymentConfig, "sky">,
  obstacles: readonly Obstacle[],
): Problem[] {
  const certain = obstacles.filter((one) => one.certain);
  const places = infra.length === 0 ? ["*"] : infra;
  if (!places.every((place) => certain.some((one) => one.infra === place))) return [];
  const reasons = byReason(certain).map(
    ([why, where]) => `${listed(where)}: ${why}.${remedyFor(why, where)}`,
  );
  const message = `${show(infra.length === 1 ? infra[0] : infra)}: nothing can be launched there. ${reasons.join(" ")}`;
  return [{ path: ["sky", "infra"], message }];
}

function byReason(obstacles: readonly Obstacle[]): (readonly [why: string, infra: readonly string[]])[] {
  const reasons = [...new Set(obstacles.map(({ why }) => why))];
  return reasons.map((why) => {
    const infra = obstacles.filter((one) => one.why === why).map((one) => NAMED(one.infra));
    return [why, [...new Set(infra)]];
  });
}

function remedyFor(why: string, infra: readonly string[]): string {
  if (why.includes("on PATH")) return " Install it.";
  const clouds = [...new Set(infra.map((one) => one.split("/")[0]?.toLowerCase()))];
  return ` Set it up, or take it out of sky.infra; what is missing, and how it is set up, says: sky check ${clouds.join(" ")}`;
}
