import { z } from "zod";
import { type TaskName, tasks } from "./task";
import { decimal, flag, oneOf, optional, section, setting, text, whole } from "./values";

/**
 * Values of the frontend's `--router-mode`.
 * https://github.com/ai-dynamo/dynamo/blob/v1.6.1/components/src/dynamo/common/configuration/groups/router_args.py
 */
export const ROUTER_MODES = [
  "kv",
  "round-robin",
  "random",
  "power-of-two",
  "least-loaded",
  "direct",
  "device-aware-weighted",
] as const;
export type RouterMode = (typeof ROUTER_MODES)[number];

interface FlagInfo {
  readonly flag: string;
  /** Used by the KV router only. */
  readonly kvOnly: boolean;
}

const flags = z.registry<FlagInfo>();

/** An option of any router mode. */
function common<S extends z.ZodType>(name: string, schema: S): S {
  flags.add(schema, { flag: name, kvOnly: false });
  return schema;
}

/** An option of the KV router only. */
function kv<S extends z.ZodType>(name: string, schema: S): S {
  flags.add(schema, { flag: name, kvOnly: true });
  return schema;
}

const file = () =>
  text({
    noun: "an absolute path",
    allowed: "a path that starts with /, or {{FILES}}/ and a name of `files`",
    pattern: /^(\/|\{\{FILES\}\}\/)/,
  });
const name = (noun: string) => text({ noun, allowed: "text" });
const weight = () => decimal({ min: 0, max: 1 });

/**
 * Options with a flag of Dynamo's frontend, by the name of the flag without `--router-`. Defaults are
 * Dynamo's own.
 */
const knobs = {
  minInitialWorkers: common(
    "--router-min-initial-workers",
    setting(whole({ min: 0 }), {
      default: 0,
      unit: "workers",
      about:
        "Workers of each kind (prefill and decode, or aggregated) that must have registered before the router starts; 0 does not wait.",
    }),
  ),
  sessionAffinityTtlSecs: common(
    "--router-session-affinity-ttl-secs",
    optional(whole({ min: 1, max: 31_536_000 }), {
      absent: "no session affinity",
      unit: "seconds",
      about: "Keeps a session on its worker until it was idle for this long.",
    }),
  ),
  sessionAffinityMode: common(
    "--router-session-affinity-mode",
    setting(oneOf("a mode of session affinity", ["hard", "soft"]), {
      default: "hard",
      about:
        "With `sessionAffinityTtlSecs`: `hard` always sends a session to its worker, `soft` lets a policy of `policyConfig` prefer it.",
    }),
  ),
  activeDecodeBlocksThreshold: common(
    "--active-decode-blocks-threshold",
    optional(weight(), {
      absent: "no such check",
      unit: "fraction of the KV blocks",
      about: "A worker that uses more of its KV cache than this counts as busy and gets no new request.",
    }),
  ),
  activePrefillTokensThreshold: common(
    "--active-prefill-tokens-threshold",
    optional(whole({ min: 0 }), {
      absent: "no such check",
      unit: "tokens",
      about: "A worker with more prompt tokens in progress than this counts as busy and gets no new request.",
    }),
  ),
  activePrefillTokensThresholdFrac: common(
    "--active-prefill-tokens-threshold-frac",
    optional(decimal({ min: 0 }), {
      absent: "no such check",
      unit: "fraction of max_num_batched_tokens",
      about: "As `activePrefillTokensThreshold`, relative to the worker's batch; either of the two suffices.",
    }),
  ),
  kvEvents: common(
    "--router-kv-events",
    setting(flag(), {
      default: true,
      about:
        "Workers publish what their KV cache holds, and the KV router reads it. When false, the router only guesses from the requests it has sent.",
    }),
  ),
  loadAware: kv(
    "--load-aware",
    setting(flag(), {
      default: false,
      about: "Routes by load alone, without looking at caches: a preset over the other knobs.",
    }),
  ),
  kvOverlapScoreCredit: kv(
    "--router-kv-overlap-score-credit",
    setting(decimal({ min: 0 }), {
      default: 1,
      about:
        "Credit for a prefix that the worker holds on its GPU; above 1 prefers the cache over a free worker.",
    }),
  ),
  kvOverlapScoreCreditDecay: kv(
    "--router-kv-overlap-score-credit-decay",
    setting(decimal({ min: 0 }), {
      default: 0,
      about:
        "How fast that credit falls as the worker has more prompts in progress than the least loaded one.",
    }),
  ),
  prefillLoadScale: kv(
    "--router-prefill-load-scale",
    setting(decimal({ min: 0 }), {
      default: 1,
      about: "Scale of the prompt load that is left after all credits.",
    }),
  ),
  decodeActiveRequestWeight: kv(
    "--router-decode-active-request-weight",
    setting(decimal({ min: 0 }), {
      default: 0,
      unit: "KV blocks",
      about: "Cost added for each request in progress on a worker.",
    }),
  ),
  hostCacheHitWeight: kv(
    "--router-host-cache-hit-weight",
    setting(weight(), { default: 0.75, about: "Credit for a prefix that the worker holds in host memory." }),
  ),
  diskCacheHitWeight: kv(
    "--router-disk-cache-hit-weight",
    setting(weight(), { default: 0.25, about: "Credit for a prefix that the worker holds on disk." }),
  ),
  temperature: kv(
    "--router-temperature",
    setting(decimal({ min: 0 }), {
      default: 0,
      about: "Randomness in the choice among workers (softmax); 0 always takes the best.",
    }),
  ),
  replicaSync: kv(
    "--router-replica-sync",
    setting(flag(), {
      default: false,
      about:
        "Frontends tell each other which requests are in progress. Worth it with `frontend.replicas` above 1.",
    }),
  ),
  trackActiveBlocks: kv(
    "--router-track-active-blocks",
    setting(flag(), { default: true, about: "Counts KV blocks of requests in progress as load." }),
  ),
  trackOutputBlocks: kv(
    "--router-track-output-blocks",
    setting(flag(), { default: false, about: "Counts KV blocks of the answer as it is generated." }),
  ),
  assumeKvReuse: kv(
    "--router-assume-kv-reuse",
    setting(flag(), {
      default: true,
      about: "Counts a block shared by several requests once; false when engines do not reuse their cache.",
    }),
  ),
  trackPrefillTokens: kv(
    "--router-track-prefill-tokens",
    setting(flag(), { default: true, about: "Counts prompt tokens in progress as load." }),
  ),
  trackingHash: kv(
    "--router-tracking-hash",
    setting(oneOf("a tracking hash", ["public-xxh3-v1", "keyed-xxh3-v1"]), {
      default: "public-xxh3-v1",
      about:
        "Hash by which the router knows a sequence again. The keyed one needs `trackingKeyFile` and `trackingKeyId`.",
    }),
  ),
  trackingKeyFile: kv(
    "--router-tracking-key-file",
    optional(file(), {
      absent: "none",
      about: "File on the frontend's node with the 32-byte key of the keyed hash.",
    }),
  ),
  trackingKeyId: kv(
    "--router-tracking-key-id",
    optional(name("an identifier"), { absent: "none", about: "Identifier of that key." }),
  ),
  ttlSecs: kv(
    "--router-ttl-secs",
    setting(decimal({ min: 0, above: true }), {
      default: 120,
      unit: "seconds",
      about: "How long a block counts as cached when `kvEvents` is false.",
    }),
  ),
  approximateCachePolicy: kv(
    "--router-approximate-cache-policy",
    setting(oneOf("a policy of the guessed cache", ["ttl", "lru"]), {
      default: "ttl",
      about:
        "Experimental. What is taken to leave a cache when `kvEvents` is false: blocks older than `ttlSecs`, or those least recently used.",
    }),
  ),
  predictedTtlSecs: kv(
    "--router-predicted-ttl-secs",
    optional(decimal({ min: 0, above: true }), {
      absent: "no prediction",
      unit: "seconds",
      about: "With `kvEvents`: counts a block as cached from the moment a request is routed, for this long.",
    }),
  ),
  queueThreshold: kv(
    "--router-queue-threshold",
    optional(decimal({ min: 0 }), {
      absent: "no queue",
      unit: "fraction of max_num_batched_tokens",
      about: "Requests wait in the router while every worker has more prompt tokens in progress than this.",
    }),
  ),
  queuePolicy: kv(
    "--router-queue-policy",
    setting(oneOf("a queue policy", ["fcfs", "wspt"]), {
      default: "fcfs",
      about: "Order of that queue: first come first served, or weighted shortest processing time.",
    }),
  ),
  policyConfig: kv(
    "--router-policy-config",
    optional(file(), {
      absent: "none",
      about: "YAML file on the frontend's node with policy classes of the queue.",
    }),
  ),
  conditionalDisagg: kv(
    "--router-conditional-disagg",
    setting(flag(), {
      default: false,
      about:
        "Experimental. Short prompts, and those that a decode worker has cached, go to a decode worker alone. How short: `--router-conditional-disagg-config` in `frontend.args`.",
    }),
  ),
  eventThreads: kv(
    "--router-event-threads",
    setting(whole({ min: 1, max: 1024 }), {
      default: 4,
      unit: "threads",
      about: "Threads that keep the index of the workers' caches.",
    }),
  ),
  sharedCacheMultiplier: kv(
    "--shared-cache-multiplier",
    optional(weight(), {
      absent: "0.5",
      about: "Experimental. Credit for a prefix that a shared cache holds.",
    }),
  ),
  sharedCacheType: kv(
    "--shared-cache-type",
    setting(oneOf("a shared cache", ["none", "hicache"]), {
      default: "none",
      about: "Experimental. Shared KV cache to ask: `hicache` is SGLang's on Mooncake.",
    }),
  ),
};

export const routerSchema = section({
  mode: optional(oneOf("a router mode", ROUTER_MODES), {
    absent: "kv; round-robin where `task` is one without a KV cache",
    about:
      "How the frontend picks a worker (`--router-mode`). `kv` prefers the one that has the prompt's prefix cached.",
  }),
  blockSize: optional(whole({ min: 1, max: 1024 }), {
    absent: "the engine's own choice by model, which its workers tell the router",
    unit: "tokens",
    about:
      "Size of a KV block, the same for router (`--kv-cache-block-size`) and engine (its page size). Some models allow one size only. SGLang's own choice is often one token: 16 to 64 make far fewer KV events.",
  }),
  ...knobs,
});

/** An option of the router, and its flag of `python -m dynamo.frontend`. */
export interface RouterKnob {
  readonly key: keyof typeof knobs;
  readonly flag: string;
  /** Used by the KV router only. */
  readonly kvOnly: boolean;
  /** Dynamo's default; undefined if there is none. A default value needs no flag. */
  readonly default: string | number | boolean | undefined;
}

function knobOf(key: keyof typeof knobs): RouterKnob {
  const schema = knobs[key];
  const info = flags.get(schema);
  if (info === undefined) throw new Error(`router knob ${key} has no flag`);
  return { key, ...info, default: schema.parse(undefined) };
}

/** All options, in the order of the schema. Boolean options are switches: `--flag` and `--no-flag`. */
export const ROUTER_KNOBS: readonly RouterKnob[] = (Object.keys(knobs) as (keyof typeof knobs)[]).map(knobOf);

/** The setting of each flag. */
export const ROUTER_SETTINGS: Readonly<Record<string, string>> = Object.fromEntries(
  ROUTER_KNOBS.map(({ flag, key }) => [flag, `router.${key}`]),
);

/** The router mode, with its default. A task that generates no tokens has no prefixes to route by. */
export function routerMode(
  router: { readonly mode?: RouterMode | undefined },
  task: TaskName = "chat",
): RouterMode {
  return router.mode ?? (tasks[task].generates ? "kv" : "round-robin");
}
