/** How often an operator may act. */

export interface PaceLimits {
  /** Least time between two changes, seconds. */
  readonly cooldownSeconds: number;
  readonly changesPerHour: number;
}

/** Why a change must wait, and until when (milliseconds, as of `Date.now()`). */
export interface Hold {
  readonly until: number;
  readonly why: string;
}

const HOUR_MS = 3_600_000;
const NEVER = Number.NEGATIVE_INFINITY;

/** Remembers changes, and says whether another one may be made. */
export class Pace {
  #changes: number[] = [];
  #refused = NEVER;

  /** Why a change must not be made now; undefined if it may. */
  hold({ cooldownSeconds, changesPerHour }: PaceLimits, now: number): Hold | undefined {
    this.#changes = this.#changes.filter((at) => now - at < HOUR_MS);
    const last = Math.max(this.#changes.at(-1) ?? NEVER, this.#refused);
    if (now - last < cooldownSeconds * 1000)
      return { until: last + cooldownSeconds * 1000, why: `autoscale.cooldownSeconds is ${cooldownSeconds}` };
    const first = this.#changes.at(-changesPerHour);
    if (first === undefined) return undefined;
    return { until: first + HOUR_MS, why: `autoscale.changesPerHour is ${changesPerHour}` };
  }

  note(now: number): void {
    this.#changes.push(now);
  }

  /** A change that was refused: none of an hour's, and not asked for again at once. */
  noteRefused(now: number): void {
    this.#refused = now;
  }
}

/** The pauses after failures in a row. */
export interface BackoffLimits {
  /** Failures after which it gives up. Default: it never does. */
  readonly tries?: number;
  readonly firstPauseSeconds: number;
  readonly longestPauseSeconds: number;
}

/** Spaces attempts at something that fails: each failure doubles the pause. */
export class Backoff {
  #failures = 0;
  #refusals = 0;
  #last = 0;
  #next = 0;

  constructor(private readonly limits: BackoffLimits) {}

  /** When it gave up; undefined while it has not. */
  get gaveUp(): number | undefined {
    const { tries = Number.POSITIVE_INFINITY } = this.limits;
    return this.#failures >= tries ? this.#last : undefined;
  }

  mayTry(now: number): boolean {
    return this.gaveUp === undefined && now >= this.#next;
  }

  /** @returns Seconds until the next attempt; undefined if that was the last one. */
  failed(now: number): number | undefined {
    const pause = this.#pause(this.#failures, now);
    this.#failures += 1;
    this.#last = now;
    return this.gaveUp === undefined ? pause : undefined;
  }

  /** It was refused before anything was done: that costs nothing, and it may be allowed again by itself. */
  refused(now: number): void {
    this.#pause(this.#refusals, now);
    this.#refusals += 1;
  }

  #pause(before: number, now: number): number {
    const { firstPauseSeconds, longestPauseSeconds } = this.limits;
    const pause = Math.min(firstPauseSeconds * 2 ** before, longestPauseSeconds);
    this.#next = now + pause * 1000;
    return pause;
  }

  succeeded(): void {
    this.#failures = 0;
    this.#refusals = 0;
    this.#next = 0;
  }
}
