/** Checks of the router and its frontend. */
import type { Problem } from "../problems";
import { ROUTER_KNOBS, type RouterMode, routerMode } from "../router";
import { show } from "../values";
import { VERSIONS } from "../versions";
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
  if (router.useRemoteIndexer && router.serveIndexer)
    add("serveIndexer", "true excludes router.useRemoteIndexer. Set one of the two to false.");
  return [...problems, ...trackingProblems(router), ...aicProblems(router)];
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

function aicProblems(router: Router): Problem[] {
  if (router.prefillLoadModel !== "aic") {
    return ROUTER_KNOBS.filter(
      ({ key, flag, default: usual }) => flag.startsWith("--aic-") && (router[key] ?? usual) !== usual,
    ).map(({ key }) => ({
      path: ["router", key],
      message: `${show(router[key])} has no effect while router.prefillLoadModel is "none". Remove it, or set that to "aic".`,
    }));
  }
  const missing = (["aicBackend", "aicSystem", "aicModelPath"] as const)
    .filter((key) => router[key] === undefined)
    .map((key) => ({
      path: ["router", key],
      message: 'is required with router.prefillLoadModel "aic". Set it.',
    }));
  if (router.trackPrefillTokens) return missing;
  const message = 'false excludes router.prefillLoadModel "aic". Set it to true, or that to "none".';
  return [...missing, { path: ["router", "trackPrefillTokens"], message }];
}

function startProblems({ router, pools }: Known): Problem[] {
  if (router === undefined || pools === undefined) return [];
  const workers = pools.reduce((sum, pool) => sum + pool.replicas, 0);
  if (router.minInitialWorkers <= workers) return [];
  const message = `${router.minInitialWorkers} is more than the ${workers} workers of all pools, so the router would wait for ever. Allowed: 0 to ${workers}.`;
  return [{ path: ["router", "minInitialWorkers"], message }];
}

/**
 * vLLM's chat processor assumes a block size of 16 unless configured (`vllm_processor.py` of 1.4.2),
 * regardless of the workers' block size.
 */
function chatProcessorProblems({ frontend, router, task }: Known): Problem[] {
  const args = frontend?.args ?? [];
  const isVllm = args.some(
    (argument, at) =>
      argument === "--dyn-chat-processor=vllm" ||
      (argument === "vllm" && args[at - 1] === "--dyn-chat-processor"),
  );
  if (!isVllm || router === undefined || routerMode(router, task) !== "kv" || router.blockSize !== undefined)
    return [];
  const message =
    "is needed with --dyn-chat-processor vllm in frontend.args and router.mode kv: that processor does not take it from the workers. Set it to theirs.";
  return [{ path: ["router", "blockSize"], message }];
}

function migrationProblems({ frontend, router, task }: Known): Problem[] {
  if (frontend === undefined) return [];
  const { migrationLimit, migrationMaxSeqLen } = frontend;
  if (migrationLimit > 0 && router !== undefined && routerMode(router, task) === "kv") {
    const message = `${migrationLimit} does not work with router mode kv: Dynamo ${VERSIONS.dynamo} fails every migrated request there. Set it to 0, or choose another router.mode.`;
    return [{ path: ["frontend", "migrationLimit"], message }];
  }
  if (migrationLimit === 0 && migrationMaxSeqLen !== undefined) {
    const message = `${migrationMaxSeqLen} has no effect while frontend.migrationLimit is 0. Remove it, or raise that.`;
    return [{ path: ["frontend", "migrationMaxSeqLen"], message }];
  }
  return [];
}
