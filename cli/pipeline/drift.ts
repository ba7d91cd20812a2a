/** `drift`: whether a stack matches its configuration; if not, with the reasons, as an issue. */

import { messageOf } from "../../lib/run";
import { EXIT } from "../commandLine";
import { previewAsItRests } from "../deployment/resting";
import { type Drift, driftOf } from "../pulumi/drift";
import { code, failureBlock, markerOf, page, plainText, table } from "./markdown";
import type { Report, Run } from "./report";

/** Read-only. If the state cannot be determined, that is a failure, never drift. */
export async function drift({ stack, signal }: Run): Promise<Report> {
  const marker = markerOf("drift", stack.stack);
  const about = { verb: "drift", stack: stack.stack };
  const name = plainText(stack.stack);
  try {
    const { steps } = await previewAsItRests(stack, { signal });
    const found = driftOf(steps);
    if (found.length === 0) {
      const markdown = page(marker, [`### ${name} is in sync`]);
      return { markdown, json: { ...about, inSync: true, drift: [] }, exitCode: EXIT.ok };
    }
    const markdown = page(marker, [`### ${name} is not in sync`, driftTable(found), whatToDo(found)]);
    return { markdown, json: { ...about, inSync: false, drift: found }, exitCode: EXIT.drift };
  } catch (error) {
    const failure = messageOf(error);
    const heading = `### Whether ${name} is in sync could not be found out`;
    const markdown = page(marker, [heading, failureBlock(failure)]);
    return { markdown, json: { ...about, inSync: null, failure }, exitCode: EXIT.failed };
  }
}

function driftTable(found: readonly Drift[]): string {
  return table(
    ["", "resource", "reason"],
    found.map(({ kind, resource, reason }) => [
      kind === "lost" ? "🔴 lost" : "🟡 pending",
      code(resource),
      plainText(reason),
    ]),
  );
}

function whatToDo(found: readonly Drift[]): string {
  const isLost = found.some(({ kind }) => kind === "lost");
  return isLost
    ? "Deploying the stack again repairs what is lost."
    : "The configuration asks for something that was not deployed yet: deploy it, or take it back.";
}
