/** Result of a pipeline step: Markdown for users, JSON for programs, an exit code for shells. */
import type { z } from "zod";
import { costSchema } from "../../plan/outputs";
import type { OpenStack } from "../pulumi/openStack";
import type { Step } from "../pulumi/steps";

/** Result of a step. */
export interface Report {
  readonly markdown: string;
  /** Without secrets. */
  readonly json: Readonly<Record<string, unknown>>;
  readonly exitCode: number;
}

/** Input of a step. */
export interface Run {
  readonly stack: OpenStack;
  /** Aborted by the time limit and by signals. */
  readonly signal: AbortSignal;
}

/** The stack output `cost`. */
export type Cost = z.output<typeof costSchema>;

/** The cost in a stack's outputs; undefined if absent: an older stack, or one that never came up. */
export function costIn(outputs: Readonly<Record<string, unknown>> | undefined): Cost | undefined {
  return costSchema.safeParse(outputs?.["cost"]).data;
}

/** `$98.32`, or a text instead. */
export function dollars(amount: number | null | undefined): string {
  return amount === null || amount === undefined ? "unknown" : `$${amount.toFixed(2)}`;
}

/** `3 to create, 1 to update`, or `2 created`: without component resources. */
export function countsOf(steps: readonly Step[], isDone: boolean): string {
  const counts = new Map<string, number>();
  for (const { op } of steps) counts.set(op, (counts.get(op) ?? 0) + 1);
  const parts = [...counts].map(([op, count]) => `${count} ${isDone ? (DONE[op] ?? op) : `to ${op}`}`);
  if (parts.length > 0) return parts.join(", ");
  return isDone ? "nothing had to be changed" : "nothing to change";
}

const DONE: Readonly<Record<string, string>> = {
  create: "created",
  update: "updated",
  delete: "deleted",
  "create-replacement": "created anew",
  "delete-replaced": "old ones deleted",
};
