/** Stacks that their operator has taken down, or the workers of which. */
import { ASLEEP_VARIABLE, WORKERS_DOWN_VARIABLE } from "../../components/operated";
import type { OpenStack, OperationOptions, OperationResult } from "../pulumi/openStack";
import { asleepSince } from "./deployed";

/** Variables with which an operation leaves a stack as it rests; undefined if all of it runs. */
export function restOf(
  outputs: Readonly<Record<string, unknown>>,
): Readonly<Record<string, string>> | undefined {
  const asleep = asleepSince(outputs);
  if (asleep !== undefined) return { [ASLEEP_VARIABLE]: asleep };
  const { workersDown } = outputs;
  return typeof workersDown === "string" ? { [WORKERS_DOWN_VARIABLE]: workersDown } : undefined;
}

/** What an update would do, which leaves it asleep if it is: that is as it should be. */
export async function previewAsItRests(
  stack: Pick<OpenStack, "preview" | "outputs">,
  options: OperationOptions,
): Promise<OperationResult> {
  const found = await stack.preview(options);
  const env = found.steps.length === 0 ? undefined : restOf(await stack.outputs());
  return env === undefined ? found : stack.preview({ ...options, env });
}
