/**
 * `smoke`: whether an endpoint serves, tested as a client: lists the models and sends a request, streamed if
 * it returns text.
 */

import { tasks } from "../../config/task";
import { messageOf } from "../../lib/run";
import { answerInWords, askModel, clientOf, type ModelAnswer } from "../chat";
import { EXIT } from "../commandLine";
import { deploymentOf, type RunningDeployment } from "../deployment/running";
import { withCauses } from "../verify/nodeLogs";
import { code, failureBlock, markerOf, page, plainText } from "./markdown";
import type { Report, Run } from "./report";

const QUESTION = "Say in one sentence that you are there.";

/** Result of the test. */
export interface Smoke {
  readonly endpoint: string;
  readonly model: string;
  /** Whether the endpoint requires a key, and got one. */
  readonly withKey: boolean;
  /** Models listed by the endpoint. */
  readonly models: readonly string[];
  readonly answer: ModelAnswer;
}

/**
 * Lists the endpoint's models and sends a request.
 * @throws Error that names the failed step.
 */
export async function ask(deployment: RunningDeployment, signal: AbortSignal): Promise<Smoke> {
  const { endpoint, model, apiKey } = deployment;
  const listed = await clientOf(deployment)
    .models.list({ signal })
    .catch((error: unknown) => {
      throw new Error(`${endpoint}/v1/models: ${reasonOf(error)}`);
    });
  const models = listed.data.map(({ id }) => id);
  if (!models.includes(model)) {
    throw new Error(
      `${endpoint}/v1/models does not list ${model}; it lists ${models.join(", ") || "nothing"}.`,
    );
  }
  const answer = await askModel(deployment, QUESTION, () => undefined, signal).catch((error: unknown) => {
    throw new Error(`${endpoint}/v1/${tasks[deployment.task].path}: ${reasonOf(error)}`);
  });
  return { endpoint, model, withKey: apiKey !== undefined, models, answer };
}

/**
 * The error with its causes: OpenAI's client reports "Connection error." for everything that is not a
 * response.
 */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error) || error.cause === undefined) return messageOf(error);
  return `${error.message} ${reasonOf(error.cause)}`;
}

/** One line of Markdown about a successful smoke test. */
export function smokeLine({ answer, withKey, model }: Smoke): string {
  const key = withKey ? ", with its key" : "";
  return `✅ Smoke test: ${code(model)} answered${key}: ${answerInWords(answer)}.`;
}

/** Runs the smoke test on a running stack. */
export async function smoke({ stack, signal }: Run): Promise<Report> {
  const marker = markerOf("smoke", stack.stack);
  const about = { verb: "smoke", stack: stack.stack };
  try {
    const outputs = await stack.outputs({ showSecrets: true });
    const deployment = deploymentOf(outputs);
    const found = await withCauses(outputs, () => ask(deployment, signal));
    const markdown = page(marker, [smokeLine(found), `Endpoint: ${code(found.endpoint)}`]);
    return { markdown, json: { ...about, ok: true, ...found }, exitCode: EXIT.ok };
  } catch (error) {
    const failure = messageOf(error);
    const heading = `❌ Smoke test of ${plainText(stack.stack)} failed`;
    const markdown = page(marker, [heading, failureBlock(failure)]);
    return { markdown, json: { ...about, ok: false, failure }, exitCode: EXIT.failed };
  }
}
