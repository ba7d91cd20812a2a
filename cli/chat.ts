import OpenAI from "openai";
import { type Message, type Task, tasks, textOf } from "../config/task";
import { counted } from "../lib/words";
import { dispatcherFor } from "../toolchain/pinned";
import type { RunningDeployment } from "./deployment/running";

/** A response, also printed as JSON. */
export interface ModelAnswer {
  /** Summary: `48 tokens`, `a vector of 1024 numbers`. */
  readonly content: string;
  /** Number of output tokens; absent if the model's task generates none. */
  readonly tokens?: number;
  /** Milliseconds from the request to the first token (TTFT); absent if the task generates none. */
  readonly firstMs?: number;
  readonly totalMs: number;
}

const TIMEOUT_MS = 120_000;
const MAX_TOKENS = 48;

/** OpenAI client of a deployment, with its key, pinned to its certificate. */
export function clientOf({ endpoint, apiKey, fingerprint }: RunningDeployment): OpenAI {
  return new OpenAI({
    baseURL: `${endpoint}/v1`,
    apiKey: apiKey ?? "none",
    timeout: TIMEOUT_MS,
    fetchOptions: dispatcherFor(fingerprint),
  });
}

/**
 * Sends one request of the model's task. Generated text is passed on as it arrives.
 * @throws Error if the response has no content.
 */
export async function askModel(
  deployment: RunningDeployment,
  text: string,
  onText: (text: string) => void,
  signal?: AbortSignal,
): Promise<ModelAnswer> {
  const task = tasks[deployment.task];
  const body = task.body(deployment.model, text, MAX_TOKENS);
  const options = signal === undefined ? {} : { signal };
  return task.generates
    ? streamed(deployment, { task, body, options, onText })
    : whole(deployment, { task, body, options });
}

interface Request {
  readonly task: Task;
  readonly body: Readonly<Record<string, unknown>>;
  readonly options: { readonly signal?: AbortSignal };
}

/** A chunk of a streamed chat completion or completion. */
interface Piece {
  readonly choices: readonly {
    readonly text?: string | null;
    readonly delta?: Message;
  }[];
  readonly usage?: { readonly completion_tokens: number } | null;
}

async function streamed(
  deployment: RunningDeployment,
  { task, body, options, onText }: Request & { readonly onText: (text: string) => void },
): Promise<ModelAnswer> {
  const started = performance.now();
  let firstMs: number | undefined;
  let tokens = 0;
  const stream = await clientOf(deployment).post<AsyncIterable<Piece>>(`/${task.path}`, {
    body: { ...body, stream: true, stream_options: { include_usage: true } },
    stream: true,
    ...options,
  });
  for await (const { choices, usage } of stream) {
    const text = textOf(choices[0]?.delta ?? { content: choices[0]?.text });
    if (text !== "") {
      firstMs ??= performance.now() - started;
      onText(text);
    }
    tokens = usage?.completion_tokens ?? tokens;
  }
  if (firstMs === undefined || tokens === 0)
    throw new Error(`${deployment.endpoint} answered, but without a single token.`);
  return { content: counted(tokens, "token"), tokens, firstMs, totalMs: performance.now() - started };
}

async function whole(deployment: RunningDeployment, { task, body, options }: Request): Promise<ModelAnswer> {
  const started = performance.now();
  const answer = await clientOf(deployment).post<unknown>(`/${task.path}`, { body, ...options });
  const { isThere, words } = task.read(answer);
  if (!isThere) throw new Error(`${deployment.endpoint} answered, but with ${words}.`);
  return { content: words, totalMs: performance.now() - started };
}

/** Summary of a response: `48 tokens, the first after 68 ms, in all 336 ms`. */
export function answerInWords({ content, firstMs, totalMs }: ModelAnswer): string {
  const when = firstMs === undefined ? "after" : `the first after ${firstMs.toFixed(0)} ms, in all`;
  return `${content}, ${when} ${totalMs.toFixed(0)} ms`;
}
