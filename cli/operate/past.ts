/** What the history of a stack says of the people, or pipelines, beside its operator. Pure. */
import type { PastOperation } from "../pulumi/cli";

/** What an operator's own updates begin with in the history. */
export const OWN = "operate: ";

/** How many operations are looked at: an operator's own are between those of others. */
export const PAST_OPERATIONS = 50;

export interface Past {
  /** When the last update by another than an operator began; undefined if there is none. */
  readonly foreign: Date | undefined;
  /** Whether the last operation was a `destroy`: what is lost since was meant to go. */
  readonly isBeingDestroyed: boolean;
}

/** @param history The newest first. */
export function pastOf(history: readonly PastOperation[]): Past {
  const foreign = history.find(({ kind, message }) => kind === "update" && !message.startsWith(OWN));
  return { foreign: foreign?.started, isBeingDestroyed: history[0]?.kind === "destroy" };
}
