/** `preview`: the effect and the cost of a change, as a comment for a pull request. */

import { messageOf } from "../../lib/run";
import { EXIT, isUsersMistake } from "../commandLine";
import { restOf } from "../deployment/resting";
import { outputsIfAny } from "../deployment/running";
import type { Violation } from "../pulumi/events";
import type { OpenStack, OperationResult } from "../pulumi/openStack";
import type { PolicyPackChoice } from "../pulumi/policyPacks";
import { OperationFailed } from "../pulumi/problem";
import type { Step } from "../pulumi/steps";
import { code, details, failureBlock, markerOf, page, plainText, table } from "./markdown";
import { type Cost, costIn, countsOf, dollars, type Report } from "./report";

type Result = Pick<OperationResult, "steps" | "changes" | "violations" | "outputs">;

/** Result of a preview, which may have failed. */
interface Preview {
  readonly stack: string;
  readonly before: Cost | undefined;
  readonly after: Cost | undefined;
  /** Since when it is asleep, or its workers are. */
  readonly restsSince: string | undefined;
  readonly result: Result;
  /** Why the preview is incomplete. */
  readonly failure: string | undefined;
  readonly exitCode: number;
}

const NOTHING: Result = { steps: [], changes: {}, violations: [], outputs: {} };
const MANDATORY = "mandatory";

/** Previews a stack. Problems that readers of the comment must see are part of the result, not thrown. */
export async function preview(
  run: { readonly stack: Pick<OpenStack, "stack" | "outputs" | "preview">; readonly signal: AbortSignal },
  policyPacks: readonly PolicyPackChoice[],
): Promise<Report> {
  const { stack, signal } = run;
  const outputs = await outputsIfAny(stack);
  const before = costIn(outputs);
  // As `deploy` leaves it.
  const env = restOf(outputs ?? {});
  const found = await stack
    .preview({ policyPacks, signal, ...(env === undefined ? {} : { env }) })
    .then((result) => ({ result, failure: undefined, exitCode: EXIT.ok }), failed);
  const after = costIn(found.result.outputs);
  const [restsSince] = Object.values(env ?? {});
  return reportOf({ stack: stack.stack, before, after, restsSince, ...found });
}

function failed(error: unknown): Pick<Preview, "result" | "failure" | "exitCode"> {
  const result = (error instanceof OperationFailed ? error.observed : undefined) ?? NOTHING;
  const isRefused = result.violations.some(({ level }) => level === MANDATORY);
  const exitCode = isUsersMistake(error) ? EXIT.usage : isRefused ? EXIT.notAsWanted : EXIT.failed;
  return { result, failure: messageOf(error), exitCode };
}

function reportOf(found: Preview): Report {
  const { stack, before, after, result, exitCode, failure } = found;
  const { changes, steps, violations } = result;
  return {
    markdown: page(markerOf("preview", stack), [
      `### ${plainText(stack)}: ${headline(found)}`,
      restNote(found),
      refusal(violations),
      failure === undefined || exitCode === EXIT.notAsWanted ? "" : failureBlock(failure),
      costTable(before, after, exitCode === EXIT.ok),
      stepTable(steps),
      changeDetails(steps),
    ]),
    json: {
      verb: "preview",
      stack,
      ok: exitCode === EXIT.ok,
      changes,
      cost: { before: before ?? null, after: after ?? null },
      steps,
      violations,
      ...(failure === undefined ? {} : { failure }),
    },
    exitCode,
  };
}

function headline({ exitCode, result }: Preview): string {
  if (exitCode === EXIT.usage) return "the configuration is wrong";
  if (exitCode === EXIT.notAsWanted) return "refused by a policy";
  if (exitCode !== EXIT.ok) return "the preview failed";
  return countsOf(result.steps, false);
}

function restNote({ restsSince }: Preview): string {
  return restsSince === undefined
    ? ""
    : `It is asleep since ${restsSince}: \`deploy\` updates it and leaves it asleep, \`deploy --wake\` and \`up\` bring it up.`;
}

function refusal(violations: readonly Violation[]): string {
  return violations
    .map(({ level, policy, message }) => {
      const mark = level === MANDATORY ? "❌" : "⚠️";
      return `- ${mark} ${code(policy)}: ${plainText(message)}`;
    })
    .join("\n");
}

/** Before: the state's outputs of the last update; after: the preview's. */
function costTable(before: Cost | undefined, after: Cost | undefined, isWhole: boolean): string {
  if (after === undefined && !isWhole) return "";
  const gpus = (cost: Cost | undefined, other: string) => (cost === undefined ? other : String(cost.gpus));
  const price = (cost: Cost | undefined, other: string) =>
    cost === undefined ? other : dollars(cost.dollarsPerHour);
  const most = after?.mostDollarsPerHour;
  const isDearer = typeof most === "number" && most !== after?.dollarsPerHour;
  return table(
    ["", "before", "after"],
    [
      ["GPUs", gpus(before, "none"), gpus(after, "unknown")],
      ["$ per hour", price(before, "none"), price(after, "unknown")],
      ...(isDearer ? [["at most, where that has no capacity", "", dollars(most)]] : []),
    ],
  );
}

const SYMBOLS: Readonly<Record<string, string>> = { create: "➕", update: "✏️", delete: "➖" };
const SHOWN = 100;

function stepTable(steps: readonly Step[]): string {
  const rows = steps
    .slice(0, SHOWN)
    .map(({ op, name }) => [`${SYMBOLS[op] ?? "🔁"} ${plainText(op)}`, code(name)]);
  const hidden = steps.length - rows.length;
  return [table(["", "resource"], rows), hidden > 0 ? `and ${hidden} more` : ""].filter(Boolean).join("\n\n");
}

function changeDetails(steps: readonly Step[]): string {
  const changed = steps.slice(0, SHOWN).filter(({ changes }) => changes.length > 0);
  if (changed.length === 0) return "";
  const lines = changed.map(
    ({ name, changes }) => `- ${code(name)}\n${changes.map((change) => `  - ${code(change)}`).join("\n")}`,
  );
  return details("What changes", lines.join("\n"));
}
