/** Sources of a stack's outputs. */
import { readFileSync } from "node:fs";
import { messageOf } from "../../lib/run";
import { fromCaller, oneOfTwo } from "../commandLine";
import { openStack, UsageProblem } from "../pulumi/openStack";
import { type Deployed, deployedOf } from "./deployed";
import { outputsOf } from "./running";

interface DeploymentOptions {
  readonly stack?: string | undefined;
  readonly outputs?: string | undefined;
  /** Directory of Pulumi.yaml. */
  readonly cwd: string;
}

/**
 * The deployment named by the options. @throws UsageProblem, OperationFailed if there is none, with what to
 * do.
 */
export async function deployedFrom(options: DeploymentOptions): Promise<Deployed> {
  return deployedOf(await readOutputs(oneOfTwo(options), options.cwd));
}

export type OutputsSource =
  | { readonly stack: string }
  /** A JSON file; `-` is standard input. */
  | { readonly file: string };

/**
 * @param cwd Directory of Pulumi.yaml.
 * @param showSecrets For a stack; a file has them or not.
 * @throws UsageProblem, OperationFailed if there are none, with what to do.
 */
export async function readOutputs(
  source: OutputsSource,
  cwd: string,
  showSecrets = false,
): Promise<Readonly<Record<string, unknown>>> {
  if ("file" in source) return fromFile(source.file);
  return outputsOf(await openStack({ projectDir: cwd, stack: source.stack }), { showSecrets });
}

function fromFile(file: string): Readonly<Record<string, unknown>> {
  const path = file === "-" ? 0 : fromCaller(file);
  const outputs = parsed(file, textOf(file, path));
  if (typeof outputs === "object" && outputs !== null && !Array.isArray(outputs)) return { ...outputs };
  throw new UsageProblem(`--outputs ${file} holds no JSON object. 'pulumi stack output --json' prints one.`);
}

function textOf(file: string, path: string | number): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new UsageProblem(`--outputs ${file} cannot be read: ${messageOf(error)}`);
  }
}

/** The error gives no details: they would quote the text, which may hold a key. */
function parsed(file: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new UsageProblem(
      `--outputs ${file} cannot be read as JSON. 'pulumi stack output --json' prints it.`,
    );
  }
}
