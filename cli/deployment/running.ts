/** A running deployment as its stack's outputs describe it; every tool that talks to one starts here. */
import { isAbsolute, join } from "node:path";
import type { TaskName } from "../../config/task";
import { bypassProxies, hostOf } from "../../lib/proxies";
import { messageOf } from "../../lib/run";
import { outputsSchema } from "../../plan/outputs";
import { stateDir } from "../../toolchain/index";
import type { OpenStack } from "../pulumi/openStack";
import { OperationFailed } from "../pulumi/problem";

export interface RunningDeployment {
  /** Base URL of the OpenAI-compatible API, without `/v1`. */
  readonly endpoint: string;
  readonly model: string;
  /** What it is asked for. */
  readonly task: TaskName;
  readonly apiKey: string | undefined;
  /** What clients have to trust, PEM, where the endpoint speaks TLS. */
  readonly certificate?: string | undefined;
  /** SHA-256 of the certificate that the endpoint shows, where it speaks TLS. */
  readonly fingerprint: string | undefined;
  /** A command of curl that asks the model for what it is there for, for a POSIX shell. */
  readonly curl: string | undefined;
  readonly engine: string | undefined;
  /** Log files by program, absolute. */
  readonly logs: Readonly<Record<string, readonly string[]>>;
}

/**
 * @param outputs Outputs of a stack whose last `up` succeeded, secrets shown.
 * @throws Error when they are not those of this program.
 */
export function deploymentOf(outputs: Readonly<Record<string, unknown>>): RunningDeployment {
  const parsed = outputsSchema.safeParse(outputs);
  if (!parsed.success) throw new Error("The stack has no endpoint: its `up` has not come so far yet.");
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

/**
 * Outputs of a stack, secrets shown unless told otherwise.
 * @throws OperationFailed that says how to bring the stack up, when there is none of that name.
 */
export async function outputsOf(
  stack: OpenStack,
  options: { readonly showSecrets: boolean } = { showSecrets: true },
): Promise<Readonly<Record<string, unknown>>> {
  try {
    const outputs = await stack.outputs(options);
    const { endpoint } = outputs;
    // Whoever asks for the outputs is about to talk to the cluster.
    if (typeof endpoint === "string" && URL.canParse(endpoint)) bypassProxies([hostOf(endpoint)]);
    return outputs;
  } catch (error) {
    if (!/no stack named/.test(messageOf(error))) throw error;
    throw new OperationFailed(
      `Stack ${stack.stack} is not up. Start it with: npm run stack -- up --stack ${stack.stack}`,
    );
  }
}
