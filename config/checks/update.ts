import { frontendReplicas } from "../access";
import { mostReplicas } from "../pools";
import type { Problem, SettingPath } from "../problems";
import type { Known } from ".";

interface Updated {
  /** How many there may be. */
  readonly replicas: number;
  readonly update: NonNullable<Known["frontend"]>["update"];
}

/** Rejects settings of updates that would change nothing, or that would leave nobody who serves. */
export function updateChecks({ pools, frontend, ...known }: Known): Problem[] {
  const frontends = frontend && frontendReplicas({ ...known, frontend });
  return [
    ...(pools ?? []).flatMap((pool, index) =>
      problemsOf(["pools", index], { ...pool, replicas: mostReplicas(pool) }),
    ),
    ...(frontend === undefined || frontends === undefined
      ? []
      : problemsOf(["frontend"], { ...frontend, replicas: frontends })),
  ];
}

function problemsOf(path: SettingPath, { replicas, update }: Updated): Problem[] {
  const { strategy, maxUnavailable, minReadySeconds } = update;
  const at = (key: string, message: string): Problem[] => [{ path: [...path, "update", key], message }];
  const isSet = { maxUnavailable: maxUnavailable !== 1, minReadySeconds: minReadySeconds !== 0 };
  const knobs = { maxUnavailable, minReadySeconds };
  const unused = (why: string) =>
    (["maxUnavailable", "minReadySeconds"] as const).flatMap((key) =>
      isSet[key] ? at(key, `${knobs[key]} has no effect ${why}`) : [],
    );
  const rolling = (why: string) =>
    strategy === "rolling" ? at("strategy", `"rolling" has no effect ${why}`) : [];
  if (strategy === "recreate") return unused("with strategy recreate, which changes all at once. Remove it.");
  if (replicas === 1) {
    const why = "with one replica, which is changed at once. Remove it, or set replicas to 2 or more.";
    return [...rolling(why), ...unused(why)];
  }
  if (maxUnavailable < replicas) return [];
  const allowed = replicas === 2 ? "1" : `1 to ${replicas - 1}`;
  return at(
    "maxUnavailable",
    `${maxUnavailable} would leave none of the ${replicas} replicas to serve. Allowed: ${allowed}; or use strategy "recreate".`,
  );
}
