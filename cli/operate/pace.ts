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

/** Remembers changes, and says whether another one may be made. */
export class Pace {
  #changes: number[] = [];

  /** Why a change must not be made now; undefined if it may. */
  hold({ cooldownSeconds, changesPerHour }: PaceLimits, now: number): Hold | undefined {
    this.#changes = this.#changes.filter((at) => now - at < HOUR_MS);
    const last = this.#changes.at(-1);
    if (last !== undefined && now - last < cooldownSeconds * 1000)
      return { until: last + cooldownSeconds * 1000, why: `autoscale.cooldownSeconds is ${cooldownSeconds}` };
    const first = this.#changes.at(-changesPerHour);
    if (first === undefined) return undefined;
    return { until: first + HOUR_MS, why: `autoscale.changesPerHour is ${changesPerHour}` };
  }

  note(now: number): void {
    this.#changes.push(now);
  }
}

/** Failures in a row after which an operator gives up, and the pauses until then. */
export interface BackoffLimits {
  readonly tries: number;
  readonly firstPauseSeconds: number;
}

/**
 * Spaces attempts at something that fails: each failure doubles the pause, and after the last one it stops.
 */
export class Backoff {
  #failures = 0;
  #next = 0;

  constructor(private readonly limits: BackoffLimits) {}

  get hasGivenUp(): boolean {
    return this.#failures >= this.limits.tries;
  }

  mayTry(now: number): boolean {
    return !this.hasGivenUp && now >= this.#next;
  }

  /** @returns Seconds until the next attempt; undefined if that was the last one. */
  failed(now: number): number | undefined {
    const pause = this.limits.firstPauseSeconds * 2 ** this.#failures;
    this.#failures += 1;
    this.#next = now + pause * 1000;
    return this.hasGivenUp ? undefined : pause;
  }

  succeeded(): void {
    this.#failures = 0;
    this.#next = 0;
  }
}
