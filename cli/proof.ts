/**
 * Proof of KV-aware routing on a running deployment: two requests with a long common prefix, and Dynamo's own
 * data about them. Each response names the workers that served it and the share of its prompt that was cached
 * (`nvext`, a field of Dynamo's OpenAI API); the frontend's log has the number of blocks; the workers' logs
 * show which program it was.
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
  /** A generating task. Default: chat. */
  readonly task?: TaskName;
  /** Sent as a bearer token. Default: none. */
  readonly apiKey?: string | undefined;
  /** SHA-256 fingerprint of the endpoint's certificate. Default: the system's trust store, or plain HTTP. */
  readonly fingerprint?: string | undefined;
  /** Log files by program, if readable on this machine. */
  readonly logs: Readonly<Record<string, readonly string[]>>;
  /** Aborts early. Default: only the time limit of each request. */
  readonly signal?: AbortSignal | undefined;
}

/** How one request was served. */
export interface Served {
  readonly requestId: string;
  readonly promptTokens: number;
  /** Dynamo's id of the worker that processed the prompt. */
  readonly prefillWorker: string;
  /**
   * Dynamo's id of the worker that generated the response; the same as {@link prefillWorker} without
   * disaggregation.
   */
  readonly decodeWorker: string;
  /** Attention group of the prefill worker; undefined if the router does not choose among groups. */
  readonly prefillRank?: number | undefined;
  /** The programs of the ids, if their logs could be read. */
  readonly prefillProgram: string | undefined;
  readonly decodeProgram: string | undefined;
  /**
   * Share of the prompt's blocks that the chosen worker had cached, 0 to 1, by the router's count; 0 if it
   * does not count.
   */
  readonly hitRate: number;
  /** Whether the router returned a hit rate; only mode `kv` does. */
  readonly countsCache: boolean;
  /** Blocks of the prompt that the chosen worker had cached, from the frontend's log if readable. */
  readonly cachedBlocks: number | undefined;
}

export interface Proof {
  readonly first: Served;
  readonly second: Served;
  /** Whether the second request went to the worker with the first one's prefix, and hit its cache. */
  readonly cacheAware: boolean;
  /** Whether prompt and response were processed by different workers. */
  readonly disaggregated: boolean;
}

// Ids are 64-bit numbers, too large for JSON.parse: they are read as text.
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
/** Time for a line to get from the frontend through supervisor into its log. */
const LOG_MS = 2000;
const LOG_RETRY_MS = 20;
const PREFIX_SENTENCES = 40;

/**
 * Sends the two requests and collects the evidence.
 *
 * @throws Error if a request fails, or its response does not name the workers (not a Dynamo endpoint).
 */
export async function proveRouting(target: ProofTarget): Promise<Proof> {
  // A new prefix for each proof: with an old one the first request would hit a cache too.
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

/** A long unique prefix of a prompt: some 700 tokens. */
export function freshPrefix(): string {
  return `Session ${randomUUID()}. ${"The router sends a prompt to the worker that has seen its beginning. ".repeat(PREFIX_SENTENCES)}`;
}

/**
 * Sends one prompt, and returns how it was served.
 *
 * @throws Error if it fails, or if the response does not name the workers (not a Dynamo endpoint).
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

async function served({ endpoint, logs }: ProofTarget, text: string): Promise<Served> {
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
  if (told.countsCache) await untilLogged(logs, told.requestId);
  return { ...told, ...toldByLogs(logs, told) };
}

/**
 * The frontend logs the count when it has sent the response, so its line comes a moment after it. Waits for
 * the line, with a time limit, where a log on this machine knows the request.
 */
async function untilLogged(logs: ProofTarget["logs"], requestId: string): Promise<void> {
  if (!Object.values(logs).some((files) => linesAbout(files, requestId).length > 0)) return;
  const deadline = Date.now() + LOG_MS;
  while (cachedBlocks(logs, requestId) === undefined && Date.now() < deadline) await delay(LOG_RETRY_MS);
}

/** Adds data from the logs. */
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

/** Quotes numbers of 16 digits and more after a colon, so that no digit of an id is lost. */
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
 * From the router's lines about a request: `Selected worker … worker_type=prefill …
 * effective_cached_blocks=45.0` with disaggregation, `route request completed … overlap_blocks=45
 * phase=Aggregated` without.
 */
function cachedBlocks(logs: ProofTarget["logs"], requestId: string): number | undefined {
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
      // A log on another machine, or just rotated away: the response itself still names the workers.
      return [];
    }
  });
}
