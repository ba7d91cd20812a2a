/** Proves that one worker, or one frontend, answers: by a request that only it can have answered. */
import { readyPath } from "./modelPath";

/**
 * One HTTP request from where frontends and workers can be reached; `body` is JSON, and makes it a POST.
 *
 * @returns The response, or why there is none.
 */
export type Call = (
  url: string,
  body: string | undefined,
  seconds: number,
) => Promise<{ readonly status: number; readonly text: string } | { readonly error: string }>;

export interface Proof {
  /** Base URLs of the frontends: a worker must answer through each. */
  readonly frontends: readonly string[];
  readonly model: string;
  /** Path of the request below `/v1/`, its body, and whether a response has content. */
  readonly request: {
    readonly path: string;
    readonly body: Readonly<Record<string, unknown>>;
    readonly isAnswer: (response: unknown) => boolean;
  };
  /** The worker that must have answered. Default: any. */
  readonly worker?: { readonly id: string; readonly ask: string; readonly seen: string } | undefined;
  /** Role that is proven: without workers of another one there is nothing to prove yet. */
  readonly role: string;
  readonly call: Call;
}

export type Proven =
  | { readonly kind: "proven" }
  | { readonly kind: "missing"; readonly missing: string }
  /** Nothing can answer at the moment, whatever this one does. */
  | { readonly kind: "elsewhere"; readonly missing: string };

const ASK_SECONDS = 5;
/** An engine compiles kernels at its first request: this took up to 17 s on an H200. */
const ANSWER_SECONDS = 120;
/** Stands for the worker's number in the body: it is larger than a number of JavaScript can be. */
const ID = "{{WORKER_ID}}";

/** Asks each frontend once. */
export async function prove(proof: Proof): Promise<Proven> {
  for (const frontend of proof.frontends) {
    const lacking = await lackingRole(frontend, proof);
    if (lacking !== undefined) return lacking;
    const missing = await missingAnswer(frontend, proof);
    if (missing !== undefined) return { kind: "missing", missing: `${frontend}: ${missing}` };
  }
  return { kind: "proven" };
}

async function lackingRole(frontend: string, { model, role, call }: Proof): Promise<Proven | undefined> {
  const answer = await accepted(call(`${frontend}/v1/${readyPath(model)}`, undefined, ASK_SECONDS));
  if (answer.error !== undefined) return { kind: "elsewhere", missing: `${frontend}: ${answer.error}` };
  const lacking = [...answer.text.matchAll(/"missing_worker_types":\[([^\]]*)\]/g)].flatMap(([, list = ""]) =>
    [...list.matchAll(/"(\w+)"/g)].map(([, name = ""]) => name),
  );
  const other = lacking.find((name) => name !== role);
  return other === undefined ? undefined : { kind: "elsewhere", missing: `there is no ${other} worker` };
}

async function missingAnswer(
  frontend: string,
  { request, worker, call }: Proof,
): Promise<string | undefined> {
  const pinned = worker && { nvext: { [worker.ask]: ID, extra_fields: ["worker_id"] } };
  const body = JSON.stringify({ ...request.body, ...pinned }).replaceAll(`"${ID}"`, worker?.id ?? "");
  const answer = await accepted(call(`${frontend}/v1/${request.path}`, body, ANSWER_SECONDS));
  if (answer.error !== undefined) return answer.error;
  if (!request.isAnswer(JSON.parse(answer.text))) return "the answer is empty";
  if (worker === undefined) return undefined;
  const seen = new RegExp(`"${worker.seen}":(\\d+)`).exec(answer.text)?.[1];
  return seen === worker.id ? undefined : `worker ${seen ?? "unknown"} answered, not ${worker.id}`;
}

async function accepted(
  called: ReturnType<Call>,
): Promise<{ readonly text: string; readonly error?: undefined } | { readonly error: string }> {
  const answer = await called;
  if ("error" in answer) return answer;
  const { status, text } = answer;
  return status === 200 ? { text } : { error: `HTTP ${status} ${text.slice(0, 200)}`.trim() };
}

/**
 * Number of the worker that a status server belongs to, as requests name it; undefined if it does not say.
 *
 * @param statusUrl Any URL of the server.
 */
export async function workerId(statusUrl: string, call: Call): Promise<string | undefined> {
  // Not by `URL`: its host may be a placeholder.
  const base = /^https?:\/\/[^/]+/.exec(statusUrl)?.[0] ?? "";
  const answer = await call(`${base}/metrics`, undefined, ASK_SECONDS);
  const hex = "text" in answer ? /\bworker_id="([0-9a-f]+)"/.exec(answer.text)?.[1] : undefined;
  return hex === undefined ? undefined : BigInt(`0x${hex}`).toString();
}
