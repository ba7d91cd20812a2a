/** Questions of an operator that may have no answer. */
import type { Replicas } from "../../plan/scale";
import { firstLines, type Journal } from "./journal";

export class Unanswered {
  /** Those that had no answer the last time. */
  readonly #open = new Set<string>();

  /** @param signal Ends the operator: what fails then is not told. */
  constructor(
    private readonly journal: Journal,
    private readonly signal: AbortSignal,
  ) {}

  /**
   * Undefined if there is no answer. That is told when there was none the time before either: a busy node or
   * server answers a moment later, and of a file that is being written the rest comes.
   *
   * @param what The question, as the message about it begins.
   */
  async ask<T>(
    what: string,
    replicas: Replicas,
    question: () => T | Promise<T>,
  ): Promise<{ readonly is: T } | undefined> {
    try {
      const is = await question();
      this.#open.delete(what);
      return { is };
    } catch (error) {
      if (this.signal.aborted) return undefined;
      if (this.#open.has(what)) this.journal.once("failed", `${what}: ${firstLines(error)}`, replicas);
      this.#open.add(what);
      return undefined;
    }
  }
}
