/** The endpoint to measure, from the stack's outputs, and a check that it answers. */
import { X509Certificate } from "node:crypto";
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { text } from "node:stream/consumers";
import { rootCertificates } from "node:tls";
import { type TaskName, tasks } from "../../config/task";
import { codeOf } from "../../lib/errors";
import { messageOf } from "../../lib/run";
import type { DeployedLayout } from "../../plan/outputs";
import { deployedOf, nodesOf } from "../deployment/deployed";
import { deploymentOf } from "../deployment/running";

export interface BenchTarget {
  /** Base URL of the OpenAI-compatible API, without `/v1`. */
  readonly endpoint: string;
  readonly model: string;
  /** Task of the model, which must generate tokens. */
  readonly task: TaskName;
  readonly apiKey: string | undefined;
  readonly engine: string | undefined;
  /** How the model is cut; undefined if an earlier version brought it up. */
  readonly layout?: DeployedLayout | undefined;
  /** Certificates to trust, PEM. Default: the system's trust store. */
  readonly ca: string | undefined;
  /** GPUs used by workers; simulated with the mocker. Undefined if there are none. */
  readonly gpus: number | undefined;
  /** Nodes that run programs. */
  readonly nodes: number;
  /** Number of programs by role: `{ frontend: 1, aggregated: 4 }`. */
  readonly programs: Readonly<Record<string, number>>;
}

/**
 * @param outputs Outputs of a stack whose last `up` succeeded, secrets shown.
 * @param ca Certificates to trust instead of the stack's own, PEM.
 * @throws Error if they are not outputs of this program, or if the model generates no tokens.
 */
export function targetOf(outputs: Readonly<Record<string, unknown>>, ca?: string): BenchTarget {
  const { endpoint, model, task, apiKey, engine, certificate } = deploymentOf(outputs);
  if (!tasks[task].generates)
    throw new Error(`A load test counts tokens as they are written, and with task ${task} none are.`);
  const deployed = deployedOf(outputs);
  const nodes = nodesOf(deployed);
  const programs: Record<string, number> = {};
  for (const { role } of nodes.flatMap((node) => node.programs)) programs[role] = (programs[role] ?? 0) + 1;
  const gpus = nodes.reduce((sum, node) => sum + new Set(node.programs.flatMap((one) => one.gpus)).size, 0);
  return {
    ...{ endpoint, model, task, apiKey, engine, programs },
    layout: deployed.layout,
    ca: ca ?? (certificate === undefined ? undefined : trustedWith(certificate)),
    gpus: gpus > 0 ? gpus : undefined,
    nodes: nodes.length,
  };
}

const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * Certificates to trust for the one in the outputs: only itself if its chain ends in a root, else the public
 * roots too.
 */
function trustedWith(certificate: string): string {
  const chain = [...certificate.matchAll(PEM)].map(([pem]) => new X509Certificate(pem));
  const endsInRoot = chain.some((one) => one.checkIssued(one));
  return endsInRoot ? certificate : [certificate.trim(), ...rootCertificates, ""].join("\n");
}

const ANSWER_MS = 120_000;

/**
 * Sends one short request, so that a wrong key, an endpoint that is down or an unknown certificate is
 * reported before the measurement.
 * @throws Error with the endpoint's message, and what to do.
 */
export async function checkAnswers(target: BenchTarget): Promise<void> {
  const { path, body } = tasks[target.task];
  const url = `${target.endpoint}/v1/${path}`;
  const answer = await post(url, JSON.stringify(body(target.model, "Hello", 1)), target).catch(
    (error: unknown) => {
      throw new Error(`${url} cannot be reached: ${messageOf(error)}. ${advice(error)}`);
    },
  );
  if (answer.status === 200) return;
  throw new Error(`${url} answers ${answer.status}: ${answer.text.slice(0, 500)}`);
}

function advice(error: unknown): string {
  const code = codeOf(error) ?? "";
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID")
    return "Its certificate is for other names. Add the one of the endpoint to access.tls.names, or leave out a certificate of your own";
  return /CERT|SIGNATURE|ISSUER/.test(code)
    ? "Name the file with its certificate authority: --ca FILE"
    : "Is the stack up? A preview shows what is lost.";
}

function post(
  url: string,
  body: string,
  { apiKey, ca }: BenchTarget,
): Promise<{ readonly status: number; readonly text: string }> {
  const options = {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(body),
      ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
    },
    agent: false,
    signal: AbortSignal.timeout(ANSWER_MS),
    ...(ca === undefined ? {} : { ca }),
  } as const;
  return new Promise((resolve, reject) => {
    const send = url.startsWith("https:") ? requestHttps : requestHttp;
    const call = send(url, options, (response) => {
      text(response).then((content) => resolve({ status: response.statusCode ?? 0, text: content }), reject);
    });
    call.on("error", reject);
    call.end(body);
  });
}
