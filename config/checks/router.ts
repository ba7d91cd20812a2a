/** Checks of the router and its frontend. */

import { isSimulated } from "../../engines";
import { runsContainers } from "../infra";
import { chatProcessor } from "../parsers";
import { firstReplicas } from "../pools";
import type { Problem } from "../problems";
import { ROUTER_KNOBS, type RouterMode, routerMode } from "../router";
import { show } from "../values";
import type { Known } from ".";

type Router = NonNullable<Known["router"]>;

export function routerChecks(known: Known): Problem[] {
  const { router, task } = known;
  const mode = router && routerMode(router, task);
  return [
    ...(router === undefined || mode === undefined
      ? []
      : mode === "kv"
        ? kvProblems(router)
        : idleKnobs(router, mode)),
    ...startProblems(known),
    ...affinityProblems(known),
    ...conditionalProblems(known),
    ...outputBlockProblems(known),
    ...simulationProblems(known),
    ...chatProcessorProblems(known),
    ...migrationProblems(known),
  ];
}

/** KV router options that are set with another mode. A default counts as not set. */
function idleKnobs(router: Router, mode: RouterMode): Problem[] {
  return ROUTER_KNOBS.filter(
    ({ key, kvOnly, default: usual }) => kvOnly && router[key] !== undefined && router[key] !== usual,
  ).map(({ key }) => ({
    path: ["router", key],
    message: `${show(router[key])} has no effect: only router mode kv reads it, and the mode is ${mode}. Remove it, or set router.mode to "kv".`,
  }));
}

/** Requirements of the frontend itself: `validate` in dynamo/frontend/frontend_args.py. */
function kvProblems(router: Router): Problem[] {
  const problems: Problem[] = [];
  const add = (key: keyof Router, message: string) => problems.push({ path: ["router", key], message });
  if (router.approximateCachePolicy === "lru" && router.kvEvents)
    add(
      "approximateCachePolicy",
      '"lru" has no effect while router.kvEvents is true. Remove it, or set that to false.',
    );
  if (router.conditionalDisagg && !router.kvEvents)
    add("conditionalDisagg", "true needs router.kvEvents, which is false. Set it to true.");
  if (router.predictedTtlSecs !== undefined && !router.kvEvents)
    add(
      "predictedTtlSecs",
      `${router.predictedTtlSecs} needs router.kvEvents, which is false. Set it to true.`,
    );
  if (router.ttlSecs !== 120 && router.kvEvents)
    add(
      "ttlSecs",
      `${router.ttlSecs} has no effect while router.kvEvents is true. Remove it, or set that to false.`,
    );
  if (router.trackOutputBlocks && !router.trackActiveBlocks)
    add("trackOutputBlocks", "true needs router.trackActiveBlocks, which is false. Set it to true.");
  return [...problems, ...trackingProblems(router)];
}

function trackingProblems(router: Router): Problem[] {
  const keyed = router.trackingHash === "keyed-xxh3-v1";
  return (["trackingKeyFile", "trackingKeyId"] as const).flatMap((key): Problem[] => {
    const path = ["router", key];
    if (keyed && router[key] === undefined)
      return [{ path, message: `is required with router.trackingHash "keyed-xxh3-v1". Set it.` }];
    if (keyed || router[key] === undefined) return [];
    const message = `${show(router[key])} has no effect with router.trackingHash "${router.trackingHash}". Remove it, or set that to "keyed-xxh3-v1".`;
    return [{ path, message }];
  });
}

function affinityProblems({ router }: Known): Problem[] {
  if (router?.sessionAffinityMode !== "soft" || router.sessionAffinityTtlSecs !== undefined) return [];
  const message = '"soft" has no effect without router.sessionAffinityTtlSecs. Set that too, or remove this.';
  return [{ path: ["router", "sessionAffinityMode"], message }];
}

const hasPrefill = (pools: NonNullable<Known["pools"]>): boolean =>
  pools.some(({ role }) => role === "prefill");

function conditionalProblems({ router, pools }: Known): Problem[] {
  if (router?.conditionalDisagg !== true || pools === undefined) return [];
  if (hasPrefill(pools)) return [];
  const message =
    "true has no effect: there are no prefill and decode pools to choose between. Remove it, or use such pools.";
  return [{ path: ["router", "conditionalDisagg"], message }];
}

/**
 * The router of a prefill pool never counts active blocks, and does not start with this: requests then fail
 * with 503 for ever. Tried with 1.6.1: `router_track_output_blocks requires router_track_active_blocks=true`.
 */
function outputBlockProblems({ router, pools }: Known): Problem[] {
  if (router?.trackOutputBlocks !== true || pools === undefined || !hasPrefill(pools)) return [];
  const message =
    "true does not work with prefill pools: their router would not start. Remove it, or use aggregated pools.";
  return [{ path: ["router", "trackOutputBlocks"], message }];
}

/**
 * Simulated timing is `aisimulate`'s, which NVIDIA's images have. Of the release that Dynamo asks for PyPI
 * has a stub, which is left out (`runtime/overrides.txt`).
 */
function simulationProblems({ frontend, engine, sky }: Known): Problem[] {
  const args = frontend?.args ?? [];
  const at = args.findIndex(
    (argument, index) =>
      argument === "--router-prefill-load-model=ais" ||
      (argument === "ais" && args[index - 1] === "--router-prefill-load-model"),
  );
  if (at < 0 || engine === undefined) return [];
  const hasImage = sky?.image !== undefined || (sky?.infra ?? []).every(runsContainers);
  if (!isSimulated(engine) && hasImage) return [];
  const remedy = isSimulated(engine) ? "use a real engine" : "name an image that has it (sky.image)";
  const message = `${show(args[at])} needs the package aisimulate, which NVIDIA's images have and PyPI has as a stub, and engine ${engine} is installed from there. Remove it, or ${remedy}.`;
  return [{ path: ["frontend", "args", at], message }];
}

/** Dynamo has a router for each kind of worker, and each waits for that many of its own: tried with 1.6.1. */
function startProblems({ router, pools }: Known): Problem[] {
  if (router === undefined || pools === undefined) return [];
  const workers = new Map<string, number>();
  for (const pool of pools) {
    const { role, minReplicas = firstReplicas(pool) } = pool;
    if (role !== "encode") workers.set(role, (workers.get(role) ?? 0) + minReplicas);
  }
  const [fewest] = [...workers].sort(([, a], [, b]) => a - b);
  if (fewest === undefined || router.minInitialWorkers <= fewest[1]) return [];
  const [role, count] = fewest;
  const message = `${router.minInitialWorkers} is more than the number of ${role} workers (${count}), so their router would wait for ever. Allowed: 0 to ${count}.`;
  return [{ path: ["router", "minInitialWorkers"], message }];
}

/**
 * vLLM's chat processor assumes a block size of 16 unless configured (`vllm_processor.py` of 1.6.1),
 * regardless of the workers' block size.
 */
function chatProcessorProblems({ frontend, router, task }: Known): Problem[] {
  const isVllm = chatProcessor(frontend?.args ?? []) === "vllm";
  if (!isVllm || router === undefined || routerMode(router, task) !== "kv" || router.blockSize !== undefined)
    return [];
  const message =
    "is needed with --dyn-chat-processor vllm in frontend.args and router.mode kv: that processor does not take it from the workers. Set it to theirs.";
  return [{ path: ["router", "blockSize"], message }];
}

function migrationProblems({ frontend }: Known): Problem[] {
  if (frontend === undefined) return [];
  const { migrationLimit, migrationMaxSeqLen } = frontend;
  if (migrationLimit === 0 && migrationMaxSeqLen !== undefined) {
    const message = `${migrationMaxSeqLen} has no effect while frontend.migrationLimit is 0. Remove it, or raise that.`;
    return [{ path: ["frontend", "migrationMaxSeqLen"], message }];
  }
  return [];
}
