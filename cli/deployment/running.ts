/** A running deployment from its stack's outputs; the starting point of every tool that sends it requests. */
import { isAbsolute, join } from "node:path";
import type { TaskName } from "../../config/task";
import { bypassProxies, hostOf } from "../../lib/proxies";
import { messageOf } from "../../lib/run";
import { outputsSchema } from "../../plan/outputs";
import { packageRoot, stateDir } from "../../toolchain/index";
import type { OpenStack } from "../pulumi/openStack";
import { OperationFailed } from "../pulumi/problem";
import { noEndpoint } from "./deployed";

export interface RunningDeployment {
  /** Base URL of the OpenAI-compatible API, without `/v1`. */
  readonly endpoint: string;
  readonly model: string;
  /** Task of the model. */
  readonly task: TaskName;
  readonly apiKey: string | undefined;
  /** PEM that clients must trust, if the endpoint uses TLS. */
  readonly certificate?: string | undefined;
  /** SHA-256 fingerprint of the endpoint's certificate, if it uses TLS. */
  readonly fingerprint: string | undefined;
  /** A POSIX shell command that sends the model a request of its task. */
  readonly curl: string | undefined;
  readonly engine: string | undefined;
  /** Log files by program, absolute. */
  readonly logs: Readonly<Record<string, readonly string[]>>;
}

/**
 * @param outputs Outputs of a stack whose last `up` succeeded, secrets shown.
 * @throws Error if they are not outputs of this program.
 */
export function deploymentOf(outputs: Readonly<Record<string, unknown>>): RunningDeployment {
  const parsed = outputsSchema.safeParse(outputs);
  if (!parsed.success) throw new Error(noEndpoint(outputs));
  const { endpoint, model, apiKey, certificate, certificateFingerprint, deployment } = parsed.data;
  const { engine, logs, curl } = deployment;
  const absolute = (file: string) => (isAbsolute(file) ? file : join(stateDir(), file));
  return {
    ...{ endpoint, model, curl, engine },
    task: deployment.deployment.task,
    apiKey: apiKey ?? undefined,
    certificate: certificate ?? undefined,
    fingerprint: certificateFingerprint ?? undefined,
    logs: Object.fromEntries(Object.entries(logs).map(([program, files]) => [program, files.map(absolute)])),
  };
}

/** Outputs of a stack, by default with secrets masked; undefined if there is none with that name. */
export async function outputsIfAny(
  stack: Pick<OpenStack, "outputs">,
  options: { readonly showSecrets?: boolean } = {},
): Promise<Readonly<Record<string, unknown>> | undefined> {
  try {
    return await stack.outputs(options);
  } catch (error) {
    if (/no stack named/.test(messageOf(error))) return undefined;
    throw error;
  }
}

/** That a stack is not up, and how it is brought up. */
export function notUp({ stack, project }: Pick<OpenStack, "stack" | "project">): OperationFailed {
  const pulumi = project.directory === packageRoot() ? "npm run stack --" : "pulumi";
  return new OperationFailed(`Stack ${stack} is not up. Start it with: ${pulumi} up --stack ${stack}`);
}

/**
 * Outputs of a stack, by default with secrets.
 * @throws OperationFailed with how to bring the stack up, if there is none with that name.
 */
export async function outputsOf(
  stack: OpenStack,
  options: { readonly showSecrets: boolean } = { showSecrets: true },
): Promise<Readonly<Record<string, unknown>>> {
  const outputs = await outputsIfAny(stack, options);
  if (outputs === undefined) throw notUp(stack);
  const { endpoint } = outputs;
  // Callers of this are about to connect to the cluster.
  if (typeof endpoint === "string" && URL.canParse(endpoint)) bypassProxies([hostOf(endpoint)]);
  return outputs;
}
