/** What an operator tells: each action, and once what lasts. */
import { messageOf } from "../../lib/run";
import type { Replicas } from "../../plan/scale";

/** What an operator did, or why it did not. */
export interface Action {
  /** ISO 8601. */
  readonly at: string;
  readonly kind: "started" | "scale" | "repair" | "sleep" | "wake" | "hold" | "failed" | "stopped";
  /** What, and why: one line. */
  readonly text: string;
  /** Replicas after it, by role. */
  readonly replicas: Replicas;
  /** How long it took. */
  readonly seconds?: number;
}

export class Journal {
  /** What was told since the last action of something that lasts. */
  readonly #told = new Set<string>();

  constructor(private readonly print: (action: Action) => void) {}

  tell(kind: Action["kind"], text: string, replicas: Replicas, seconds?: number): void {
    this.#told.clear();
    this.#say(kind, text, replicas, seconds);
  }

  /** @param what What stays the same while it lasts. Default: the text. */
  once(kind: Action["kind"], text: string, replicas: Replicas, what = text): void {
    if (this.#told.has(what)) return;
    this.#told.add(what);
    this.#say(kind, text, replicas);
  }

  /** What was told of it once is over: it is told again if it comes again. */
  over(what: string): void {
    this.#told.delete(what);
  }

  #say(kind: Action["kind"], text: string, replicas: Replicas, seconds?: number): void {
    const at = new Date().toISOString();
    this.print({ at, kind, text, replicas, ...(seconds === undefined ? {} : { seconds }) });
  }
}

/** `21:15:07`, UTC. */
export function clock(at: Date): string {
  return at.toISOString().slice(11, 19);
}

/** The first two lines of a message: the cause, and what to do. */
export function firstLines(error: unknown): string {
  const lines = messageOf(error)
    .split("\n")
    .filter((line) => line.trim() !== "");
  return lines.slice(0, 2).join(" ");
}
