/**
 * Changes the units of a pool one after the other, though their commands run side by side: each takes its
 * turn when few enough of the others are away. What a unit is, and how it is looked at, is the caller's.
 */

import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "./errors";
import { writePrivate } from "./files";
import { withLock } from "./lock";
import type { UnitsState } from "./nodeUnits";
import { poll } from "./poll";
import { isAlive } from "./processes";
import type { VerbContext } from "./verb";

/**
 * `absent`: never started. `serving`: runs as it was last given. `changing`: a command that runs changes it.
 * `abandoned`: a command that has ended has not completed its change. `down`: does not run.
 */
export type UnitState = "absent" | "serving" | "changing" | "abandoned" | "down";

/** State of a unit, by what its nodes tell of its programs. */
export function unitState(programs: UnitsState["programs"]): UnitState {
  if (programs.length === 0) return "absent";
  if (programs.some(({ unfinished, owner }) => unfinished && owner !== null && isAlive(owner)))
    return "changing";
  if (programs.some(({ unfinished }) => unfinished)) return "abandoned";
  return programs.every(({ state }) => state === "RUNNING") ? "serving" : "down";
}

export interface Turn {
  /** Directory of what the commands of a pool tell each other. */
  readonly directory: string;
  readonly pool: string;
  readonly unit: string;
  /** How many units may be away at a time. */
  readonly maxUnavailable: number;
  /** Time limit of the wait, seconds. */
  readonly timeoutSeconds: number;
  /** When the command began. */
  readonly began: Date;
  /** The state of every unit of the pool, this one included. */
  readonly look: () => Promise<ReadonlyMap<string, UnitState>>;
  /** Whether the change would restart the unit. */
  readonly restarts: () => Promise<boolean>;
  /** Whether the unit must not serve beside changed ones: it is changed at once. */
  readonly isApart: boolean;
  /** Marks the unit as `changing`. */
  readonly begin: () => Promise<void>;
}

/** A command whose update has just begun has not marked its unit yet. */
const ABANDONED_SECONDS = 15;

/**
 * Waits until the unit may be changed, and marks it so. A unit that does not serve need not wait, and holds
 * up those that do until it serves: what is new or broken goes first.
 *
 * @returns Whether the unit is replaced: it was started before, and something of it or beside it serves.
 * @throws UserError if a change of another unit of the pool has failed since this command began.
 */
export async function takeTurn(turn: Turn, context: VerbContext): Promise<boolean> {
  mkdirSync(turn.directory, { recursive: true, mode: 0o700 });
  const { timeoutSeconds } = turn;
  const { progress, signal } = context;
  // Asked before the lock is taken, for it takes a while, and nobody else changes the unit.
  const restarts = await turn.restarts();
  let isReplaced = false;
  const waitedFor = await poll({
    timeoutSeconds,
    progress,
    signal,
    check: async () => {
      // Looked at without the lock first: many may wait, and to look takes a while.
      const early = nextStep(turn, await turn.look(), restarts);
      if (early.away.length > 0) return await waitsFor(turn, early.away);
      return await withLock(lockOf(turn), context, async () => {
        const step = nextStep(turn, await turn.look(), restarts);
        if (step.away.length > 0) return await waitsFor(turn, step.away);
        await turn.begin();
        isReplaced = step.isReplaced;
        return undefined;
      });
    },
  });
  if (waitedFor === undefined) return isReplaced;
  throw new UserError(
    `${turn.unit} was not changed, and serves as before: waited ${timeoutSeconds} s for ${waitedFor}. ${continueHint(turn)}`,
  );
}

/** Whom the unit waits for, nobody if its turn has come; and whether it is then replaced. */
interface Step {
  readonly away: readonly { readonly unit: string; readonly state: UnitState }[];
  readonly isReplaced: boolean;
}

/** @throws UserError if the rollout was stopped. */
function nextStep(turn: Turn, states: ReadonlyMap<string, UnitState>, restarts: boolean): Step {
  const others = [...states].filter(([unit]) => unit !== turn.unit);
  const own = states.get(turn.unit) ?? "absent";
  if (own === "absent" || turn.isApart) return { away: [], isReplaced: false };
  if (own !== "serving") return { away: [], isReplaced: others.some(([, state]) => state === "serving") };
  if (!restarts) return { away: [], isReplaced: false };
  assertNotStopped(turn);
  const away = others
    .filter(([, state]) => state !== "serving" && state !== "absent")
    .map(([unit, state]) => ({ unit, state }));
  return { away: away.length < turn.maxUnavailable ? [] : away, isReplaced: true };
}

/**
 * What the turn waits for.
 *
 * @throws UserError if one of these is not going to serve, since nobody changes it any more.
 */
async function waitsFor(turn: Turn, away: Step["away"]): Promise<string> {
  const { began, pool, unit } = turn;
  const waits = `${away.map(({ unit: other }) => other).join(", ")} to serve`;
  const unfinished = away.filter(({ state }) => state === "abandoned");
  if (unfinished.length === 0 || Date.now() - began.getTime() < ABANDONED_SECONDS * 1000) return waits;
  // Once more: a command may have completed its change and ended while the first look was on its way.
  const states = await turn.look();
  const abandoned = unfinished.find(({ unit: other }) => states.get(other) === "abandoned")?.unit;
  if (abandoned === undefined) return waits;
  throw new UserError(
    `The rollout of ${pool} has stopped: the change of ${abandoned} is not complete. ${unit} was not changed, ` +
      `and serves as before. ${continueHint({ pool })}`,
  );
}

function lockOf({ directory, pool }: Pick<Turn, "directory" | "pool">): string {
  return join(directory, `${pool}.lock`);
}

function markOf({ directory, pool }: Pick<Turn, "directory" | "pool">): string {
  return join(directory, `${pool}.stopped.json`);
}

/** What to do after a rollout has stopped. */
export function continueHint({ pool }: Pick<Turn, "pool">): string {
  return (
    `Mend the setting, or set it back, and run \`pulumi up\` again: it changes first what of ${pool} does not serve, ` +
    "and the others only when that does."
  );
}

/** Stops the rollout for all commands that run now; the next update knows nothing of it. */
export function stopRollout(turn: Pick<Turn, "directory" | "pool" | "unit">): void {
  writePrivate(markOf(turn), JSON.stringify({ unit: turn.unit, at: Date.now() }));
}

function assertNotStopped(turn: Turn): void {
  const stopped = readMark(turn);
  if (stopped === undefined || stopped.at < turn.began.getTime()) return;
  throw new UserError(
    `The rollout of ${turn.pool} was stopped because the change of ${stopped.unit} failed. ` +
      `${turn.unit} was not changed, and serves as before.`,
  );
}

function readMark(turn: Turn): { readonly unit: string; readonly at: number } | undefined {
  try {
    const { unit, at } = JSON.parse(readFileSync(markOf(turn), "utf8"));
    return { unit: String(unit), at: Number(at) };
  } catch {
    return undefined; // never stopped, or just being written
  }
}
