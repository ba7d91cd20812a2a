/**
 * Proof of KV-aware routing on a running deployment: two requests that share a long prefix, and what Dynamo itself says of
 * them. Each answer names the workers that served it and the share of its prompt that was in their cache (`nvext`, a
 * field of Dynamo's OpenAI API); the frontend's log names the blocks; the workers' logs say which program that was.
 */
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { type TaskName, tasks } from "../config/task";
import { callHttp } from "../lib/http";

export interface ProofTarget {
  /** Base URL of the OpenAI-compatible API, without `/v1`. */
  readonly endpoint: string;
  readonly model: string;
  /** One that writes tokens. Default: chat. */
  readonly task?: TaskName;
  /** Sent as a bearer token. Default: none. */
  readonly apiKey?: string | undefined;
  /** SHA-256 of the certificate that the endpoint shows. Default: what the system trusts, or plain HTTP. */
  readonly fingerprint?: string | undefined;
  /** Log files by program, where they can be read here. */
  readonly logs: Readonly<Record<string, readonly string[]>>;
  /** Ends asking early. Default: each request has a time limit of its own, and that is all. */
  readonly signal?: AbortSignal | undefined;
}

/** How one request was served. */
export interface Served {
  readonly requestId: string;
  readonly promptTokens: number;
  /** Dynamo's id of the worker that computed the prompt. */
  readonly prefillWorker: string;
  /** Dynamo's id of the worker that wrote the answer; the same as {@link prefillWorker} when not disaggregated. */
  readonly decodeWorker: string;
  /** Attention group of the prefill worker that had the prompt; undefined where the router does not choose among them. */
  readonly prefillRank?: number | undefined;
  /** The programs behind the ids, where their logs could be read. */
  readonly prefillProgram: string | undefined;
  readonly decodeProgram: string | undefined;
  /** Share of the prompt's blocks that the chosen worker held already, 0 to 1, as the router counted; 0 where it does not. */
  readonly hitRate: number;
  /** Whether the router said a hit rate at all; only that of mode `kv` does. */
  readonly countsCache: boolean;
  /** Blocks of the prompt that the chosen worker held already, from the frontend's log where it could be read. */
  readonly cachedBlocks: number | undefined;
}

export interface Proof {
  readonly first: Served;
  readonly second: Served;
  /** The second request went to the worker that holds the first one's prefix, and found it there. */
  readonly cacheAware: boolean;
  /** Prompt and answer were computed by different workers. */
  readonly disaggregated: boolean;
}

// Ids are 64-bit numbers, beyond what JSON.parse can hold: they are read as text.
const answerSchema = z.object({
  id: z.string(),
  usage: z.object({ prompt_tokens: z.number(), completion_tokens: z.number() }),
  nvext: z.object({
    worker_id: z.object({
      prefill_worker_id: z.string().optional(),
      prefill_dp_rank: z.number().nullish(),
      decode_worker_id: z.string().optional(),
    }),
    timing: z.object({ kv_hit_rate: z.number().nullish() }).optional(),
  }),
});

const MAX_TOKENS = 8;
const REQUEST_MS = 60_000;
/** KV events reach the router within milliseconds; a busy machine may take longer. */
const EVENTS_MS = 10_000;
const RETRY_MS = 250;
const PREFIX_SENTENCES = 40;

/**
 * Sends the two requests and gathers the evidence.
 *
 * @throws Error when a request fails, or its answer does not name the workers (not a Dynamo endpoint).
 */
export async function proveRouting(target: ProofTarget): Promise<Proof> {
  // A prefix of its own for each proof: with an old one the first request would find a warm cache too.
  const prefix = freshPrefix();
  const first = await ask(target, `${prefix}What is a prefix?`);
  const deadline = Date.now() + EVENTS_MS;
  let second = await ask(target, `${prefix}And what is a cache?`);
  while (second.hitRate === 0 && Date.now() < deadline) {
    await delay(RETRY_MS);
    second = await ask(target, `${prefix}And what is a cache?`);
  }
  return {
    first,
    second,
    cacheAware: second.hitRate > first.hitRate && second.prefillWorker === first.prefillWorker,
    disaggregated: second.prefillWorker !== second.decodeWorker,
  };
}

/** The long beginning of a prompt, which no worker has seen: some 700 tokens. */
export function freshPrefix(): string {
  return `Session ${randomUUID()}. ${"The router sends a prompt to the worker that has seen its beginning. ".repeat(PREFIX_SENTENCES)}`;
}

/**
 * Sends one prompt, and tells how it was served.
 *
 * @throws Error when it fails, or when the answer does not name the workers (not a Dynamo endpoint).
 */
export async function ask(target: ProofTarget, content: string): Promise<Served> {
  const { apiKey, endpoint, fingerprint, model, signal = new AbortController().signal } = target;
  const { path, body } = tasks[target.task ?? "chat"];
  const { status, text } = await callHttp(`${endpoint}/v1/${path}`, {
    headers: apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` },
    body: {
      ...body(model, content, MAX_TOKENS),
      nvext: { extra_fields: ["worker_id", "timing"] },
    },
    fingerprint,
    timeoutMs: REQUEST_MS,
    signal,
  });
  if (status !== 200) throw new Error(`${endpoint} answered ${status}: ${text.slice(0, 500)}`);
  return served(target, text);
}

function served({ endpoint, logs }: ProofTarget, text: string): Served {
  const answer = answerSchema.safeParse(JSON.parse(quoteLargeNumbers(text)));
  if (!answer.success)
    throw new Error(
      `The answer of ${endpoint} does not name the workers that served it: ${text.slice(0, 500)}`,
    );
  const { id, usage, nvext } = answer.data;
  const { prefill_worker_id, decode_worker_id } = nvext.worker_id;
  const prefillWorker = prefill_worker_id ?? decode_worker_id ?? "unknown";
  const told = {
    requestId: id.replace(/^(chatcmpl|cmpl)-/, ""),
    promptTokens: usage.prompt_tokens,
    prefillWorker,
    decodeWorker: decode_worker_id ?? prefillWorker,
    prefillRank: nvext.worker_id.prefill_dp_rank ?? undefined,
    hitRate: nvext.timing?.kv_hit_rate ?? 0,
    countsCache: typeof nvext.timing?.kv_hit_rate === "number",
  };
  return { ...told, ...toldByLogs(logs, told) };
}

/** What the logs say of a request, beyond its answer. */
export function toldByLogs(
  logs: ProofTarget["logs"],
  { requestId, prefillWorker, decodeWorker }: Pick<Served, "requestId" | "prefillWorker" | "decodeWorker">,
): Pick<Served, "prefillProgram" | "decodeProgram" | "cachedBlocks"> {
  const programs = programsThatServed(logs, requestId);
  return {
    prefillProgram: programs.get(prefillWorker),
    decodeProgram: programs.get(decodeWorker),
    cachedBlocks: cachedBlocks(logs, requestId),
  };
}

/** Numbers of 16 digits and more, after a colon, become strings, so that no digit of an id is lost. */
function quoteLargeNumbers(json: string): string {
  return json.replace(/("(?:prefill|decode)_worker_id":\s*)(\d+)/g, '$1"$2"');
}

/** Program by worker id, from the workers' logs: each logs the requests it serves, with its own id. */
function programsThatServed(logs: ProofTarget["logs"], requestId: string): ReadonlyMap<string, string> {
  const programs = new Map<string, string>();
  for (const [program, files] of Object.entries(logs))
    for (const line of linesAbout(files, requestId)) {
      const instance = /\binstance_id=(\d+)/.exec(line)?.[1];
      if (instance !== undefined && line.includes("request received")) programs.set(instance, program);
    }
  return programs;
}

/**
 * From the router's lines about a request: `Selected worker … worker_type=prefill … effective_cached_blocks=45.0` when
 * disaggregated, `Selected worker … overlap_blocks=45 phase=Aggregated` when not.
 */
export function cachedBlocks(logs: ProofTarget["logs"], requestId: string): number | undefined {
  const counts = Object.values(logs)
    .flatMap((files) => linesAbout(files, requestId))
    .flatMap((line) => /\b(?:effective_cached|overlap)_blocks=([\d.]+)/.exec(line)?.[1] ?? [])
    .map(Number);
  return counts.length === 0 ? undefined : Math.max(...counts);
}

function linesAbout(files: readonly string[], requestId: string): string[] {
  return files.flatMap((file) => {
    try {
      return readFileSync(file, "utf8")
        .split("\n")
        .filter((line) => line.includes(requestId));
    } catch {
      // A log on another machine, or rotated away in this moment: the answer itself still names the workers.
      return [];
    }
  });
}
