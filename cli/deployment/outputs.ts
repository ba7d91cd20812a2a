/** Where the outputs of a stack are read. */
import { readFileSync } from "node:fs";
import { messageOf } from "../../lib/run";
import { fromCaller, oneOfTwo } from "../commandLine";
import { isExported, outputsIn } from "../pulumi/exported";
import { openStack, UsageProblem } from "../pulumi/openStack";
import { HIDDEN } from "../pulumi/secrets";
import { type Deployed, deployedOf } from "./deployed";
import { outputsOf } from "./running";

interface DeploymentOptions {
  readonly stack?: string | undefined;
  readonly state?: string | undefined;
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
  /** A file with the state; `-` is standard input. */
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
  if ("file" in source) return fromFile(source.file, showSecrets);
  return outputsOf(await openStack({ projectDir: cwd, stack: source.stack }), { showSecrets });
}

function fromFile(file: string, needsSecrets: boolean): Readonly<Record<string, unknown>> {
  const path = file === "-" ? 0 : fromCaller(file);
  const exported = parsed(file, textOf(file, path));
  if (!isExported(exported))
    throw new UsageProblem(`--state ${file} holds no state of a stack. 'pulumi stack export' prints it.`);
  const outputs = outputsIn(exported);
  if (!needsSecrets || outputs["apiKey"] !== HIDDEN) return outputs;
  throw new UsageProblem(
    `--state ${file} holds the key in encrypted form. 'pulumi stack export --show-secrets' prints it as it is.`,
  );
}

function textOf(file: string, path: string | number): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new UsageProblem(`--state ${file} cannot be read: ${messageOf(error)}`);
  }
}

/** The error gives no details: they would quote the text, which may hold a key. */
function parsed(file: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new UsageProblem(`--state ${file} cannot be read as JSON. 'pulumi stack export' prints it.`);
  }
}
