/** Where the outputs of a stack come from. */
import { readFileSync } from "node:fs";
import { fromCaller } from "../commandLine";
import { outputsOf } from "../deployment";
import { openStack, UsageProblem } from "../pulumi/openStack";
import { messageOf } from "../toolchain/run";

export type OutputsSource =
  | { readonly stack: string }
  /** A file with JSON; `-` is standard input. */
  | { readonly file: string };

/**
 * @param cwd Directory of Pulumi.yaml.
 * @throws UsageProblem, OperationFailed when there are none, with what to do.
 */
export async function readOutputs(
  source: OutputsSource,
  cwd: string,
): Promise<Readonly<Record<string, unknown>>> {
  if ("file" in source) return fromFile(source.file);
  return outputsOf(await openStack({ projectDir: cwd, stack: source.stack }), { showSecrets: false });
}

function fromFile(file: string): Readonly<Record<string, unknown>> {
  const path = file === "-" ? 0 : fromCaller(file);
  let outputs: unknown;
  try {
    outputs = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new UsageProblem(`--outputs ${file} cannot be read as JSON: ${messageOf(error)}`);
  }
  if (typeof outputs === "object" && outputs !== null && !Array.isArray(outputs)) return { ...outputs };
  throw new UsageProblem(`--outputs ${file} holds no JSON object. 'pulumi stack output --json' prints one.`);
}
