/**
 * Who decides how many replicas a pool has between its bounds: NVIDIA's planner. Its own settings:
 * https://github.com/ai-dynamo/dynamo/blob/v1.6.1/components/src/dynamo/planner/config/planner_config.py
 */
import { decimal, oneOf, optional, section, setting, whole } from "./values";

/**
 * What NVIDIA's planner can aim at, without `sla`: `optimization_target` of
 * https://github.com/ai-dynamo/dynamo/blob/v1.6.1/components/src/dynamo/planner/config/planner_config.py
 */
export const AUTOSCALE_TARGETS = ["throughput", "latency", "load"] as const;
export type AutoscaleTarget = (typeof AUTOSCALE_TARGETS)[number];

/**
 * Why there is no target `sla`. Dynamo 1.6.1 asks for exactly this release. PyPI has it as a source package
 * whose build fetches the wheel from https://pypi.nvidia.com, and wheels of development builds beside it.
 * Tried: `pip download aisimulate --pre --no-deps` takes the release, and fails where that index is not
 * reached; with `==0.13.0.dev202610270000000085` it downloads a wheel (120 MB; Linux on x86-64 and arm64,
 * Python from 3.11), which asks for other packages' development builds.
 * https://pypi.org/project/aisimulate/0.13.0/
 */
const NEEDED_FOR_SLA =
  "NVIDIA's `aisimulate` 0.13.0, of which PyPI has a stub (its wheels there are of development builds)";

/** Not a fraction: 0.8 would be less than one percent. */
const percent = () => decimal({ min: 1, max: 100 });
const tokens = () => whole({ min: 0, max: 1_000_000_000 });

/** Thresholds of target load for the workers that decode, and for those that prefill. */
export const DECODE_THRESHOLDS = ["scaleUpKvPercent", "scaleDownKvPercent"] as const;
export const PREFILL_THRESHOLDS = ["scaleUpQueueTokens", "scaleDownQueueTokens"] as const;

export const autoscaleSchema = section({
  target: setting(oneOf("a target", AUTOSCALE_TARGETS, {}, { sla: `\`sla\` needs ${NEEDED_FOR_SLA}.` }), {
    default: "throughput",
    about: `What the planner aims at (\`optimization_target\`). \`throughput\` and \`latency\`: its own thresholds of queue and KV cache, for busy workers or for short queues. \`load\`: the four thresholds below. (\`sla\` is not there: it needs ${NEEDED_FOR_SLA}.)`,
  }),
  intervalSeconds: setting(whole({ min: 1, max: 3600, noun: "a whole number of seconds" }), {
    default: 5,
    unit: "seconds",
    about: "How often the planner decides (`load_adjustment_interval_seconds`).",
  }),
  sensitivity: setting(whole({ min: 0, max: 100 }), {
    default: 80,
    unit: "percent",
    about:
      "How readily it takes workers away: 100 as soon as fewer would do, 0 never (`load_scaling_down_sensitivity`).",
  }),
  scaleUpKvPercent: optional(percent(), {
    absent: "required with target load, where a pool that decodes has maxReplicas",
    unit: "percent of the KV cache",
    about: "Above it, one more worker that decodes (`decode_scale_up_kv_rate`).",
  }),
  scaleDownKvPercent: optional(percent(), {
    absent: "required with target load, where a pool that decodes has maxReplicas",
    unit: "percent of the KV cache",
    about: "Below it, one fewer (`decode_scale_down_kv_rate`).",
  }),
  scaleUpQueueTokens: optional(tokens(), {
    absent: "required with target load, where a prefill pool has maxReplicas",
    unit: "tokens",
    about: "More tokens than these wait for a prefill worker: one more (`prefill_scale_up_queue_tokens`).",
  }),
  scaleDownQueueTokens: optional(tokens(), {
    absent: "required with target load, where a prefill pool has maxReplicas",
    unit: "tokens",
    about: "Fewer than these: one fewer (`prefill_scale_down_queue_tokens`).",
  }),
  cooldownSeconds: setting(whole({ min: 0, max: 86_400, noun: "a whole number of seconds" }), {
    default: 60,
    unit: "seconds",
    about: "How long `dynamo-sky operate` waits after a change before it makes another.",
  }),
  changesPerHour: setting(whole({ min: 1, max: 3600 }), {
    default: 20,
    unit: "changes an hour",
    about: "More it does not make: a decision beyond that is told, and carried out later.",
  }),
});
