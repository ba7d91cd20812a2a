/** Questions of an operator that may have no answer. */
import type { Replicas } from "../../plan/scale";
import { firstLines, type Journal } from "./journal";

export class Unanswered {
  /** What was told of those that had no answer the last time. */
  readonly #open = new Map<string, readonly string[]>();

  /** @param signal Ends the operator: what fails then is not told. */
  constructor(
    private readonly journal: Journal,
    private readonly signal: AbortSignal,
  ) {}

  /**
   * Undefined if there is no answer. That is told when there was none the time before either: a busy node or
   * server answers a moment later, and of a file that is being written the rest comes.
   *
   * @param what The question, as the message about it begins. What is not asked at every look needs one of
   * its own: the looks between would have an answer.
   */
  async ask<T>(
    what: string,
    replicas: Replicas,
    question: () => T | Promise<T>,
  ): Promise<{ readonly is: T } | undefined> {
    try {
      const is = await question();
      for (const text of this.#open.get(what) ?? []) this.journal.over(text);
      this.#open.delete(what);
      return { is };
    } catch (error) {
      if (this.signal.aborted) return undefined;
      const told = this.#open.get(what);
      const text = `${what}: ${firstLines(error)}`;
      if (told !== undefined) this.journal.once("failed", text, replicas);
      this.#open.set(what, told === undefined ? [] : [...new Set([...told, text])]);
      return undefined;
    }
  }
}
