/** `deploy`: brings a stack up and runs the smoke test. */

import { messageOf } from "../../lib/run";
import { EXIT, isUsersMistake } from "../commandLine";
import { restOf } from "../deployment/resting";
import { deploymentOf, outputsIfAny } from "../deployment/running";
import type { PolicyPackChoice } from "../pulumi/policyPacks";
import { code, failureBlock, markerOf, page, plainText, table } from "./markdown";
import { type Cost, costIn, countsOf, dollars, type Report, type Run } from "./report";
import { ask, type Smoke, smokeLine } from "./smoke";

/** Additional content of a page about a deployment. */
export interface DeployNotes {
  /** Markdown lines between heading and table. */
  readonly notes: readonly string[];
  readonly json: Readonly<Record<string, unknown>>;
}

export interface DeployOptions {
  readonly policyPacks: readonly PolicyPackChoice[];
  /** Brings up also what its operator has taken down, which else is updated and left as it rests. */
  readonly wake: boolean;
}

/** Brings the stack up; returns after a successful client request, or a failure. */
export async function deploy(
  { stack, signal }: Run,
  { policyPacks, wake }: DeployOptions,
  { notes, json: more }: DeployNotes = { notes: [], json: {} },
): Promise<Report> {
  const marker = markerOf("deploy", stack.stack);
  const about = { verb: "deploy", stack: stack.stack, ...more };
  try {
    const env = wake ? undefined : restOf((await outputsIfAny(stack)) ?? {});
    const result = await stack.up({ policyPacks, signal, ...(env === undefined ? {} : { env }) });
    const { changes, outputs, seconds, steps } = result;
    if (env !== undefined) {
      const [since] = Object.values(env);
      const heading = `### ${plainText(stack.stack)} is updated, and asleep since ${since}`;
      const said = `${countsOf(steps, true)}. It comes back as its schedule and its idle time say; \`deploy --wake\` brings it up now.`;
      const json = { ...about, ok: true, changes, seconds, asleep: since, smoke: null };
      return { markdown: page(marker, [heading, ...notes, said]), json, exitCode: EXIT.ok };
    }
    const found = await ask(deploymentOf(await stack.outputs({ showSecrets: true })), signal);
    const cost = costIn(outputs);
    const markdown = page(marker, [
      `### ${plainText(stack.stack)} is deployed`,
      ...notes,
      summaryTable(found, cost, countsOf(steps, true), seconds),
      smokeLine(found),
    ]);
    const json = { ...about, ok: true, changes, seconds, cost: cost ?? null, smoke: found };
    return { markdown, json, exitCode: EXIT.ok };
  } catch (error) {
    const failure = messageOf(error);
    const exitCode = isUsersMistake(error) ? EXIT.usage : EXIT.failed;
    const heading = `### ${plainText(stack.stack)} could not be deployed`;
    const left =
      exitCode === EXIT.usage
        ? "Nothing was made or changed."
        : "What was made is in the state: the next deployment goes on from there, and `destroy` finds all of it.";
    const markdown = page(marker, [heading, ...notes, failureBlock(failure), left]);
    return { markdown, json: { ...about, ok: false, failure }, exitCode };
  }
}

function summaryTable(found: Smoke, cost: Cost | undefined, counts: string, seconds: number): string {
  return table(
    ["endpoint", "model", "GPUs", "$ per hour", "resources", "took"],
    [
      [
        code(found.endpoint),
        code(found.model),
        cost === undefined ? "unknown" : String(cost.gpus),
        dollars(cost?.dollarsPerHour),
        counts,
        `${seconds.toFixed(0)} s`,
      ],
    ],
  );
}
