/** How a worker or a frontend that hangs is noticed, and what is done then. */
import { flag, section, setting, whole } from "./values";

const seconds = (max: number) => whole({ min: 1, max, noun: "a whole number of seconds" });

/**
 * Variables: https://docs.nvidia.com/dynamo/v1.6.1/reference/observability/health-checks
 *
 * Dynamo's own 3 seconds for an answer are those of an idle engine. A question waits behind the prompts that
 * are there already, and one of 200,000 tokens alone takes more than 10 seconds until its first token:
 * https://github.com/ai-dynamo/dynamo/pull/8467. A minute is still well below the 300 after which engines
 * give up by themselves (SGLang's `--watchdog-timeout`, vLLM's `VLLM_EXECUTE_MODEL_TIMEOUT_SECONDS`).
 *
 * The status server's time is NVIDIA's for Kubernetes, rounded up (4 seconds, `component_worker.go` of its
 * operator): it computes nothing, and runs beside the engine.
 */
export const healthSchema = section({
  canary: setting(flag(), {
    default: true,
    about:
      "Asks an engine that has answered nothing for 10 seconds for one token (`DYN_HEALTH_CHECK_ENABLED`). Without it only processes that answer nothing at all count as hanging. A simulated engine is never asked.",
  }),
  canarySeconds: setting(seconds(3600), {
    default: 60,
    unit: "seconds",
    about:
      "How long it may take to answer (`DYN_HEALTH_CHECK_REQUEST_TIMEOUT`): longer than the prompts that may be before it. Each token of another answer counts as well.",
  }),
  everySeconds: setting(seconds(3600), {
    default: 10,
    unit: "seconds",
    about:
      "How often a worker's status server (`/health`) and a frontend (`/live`) are asked how they are, once they have been well.",
  }),
  timeoutSeconds: setting(seconds(3600), {
    default: 5,
    unit: "seconds",
    about: "How long they may take to answer.",
  }),
  failures: setting(whole({ min: 0, max: 100 }), {
    default: 3,
    unit: "failures in a row",
    about:
      "After how many a worker is ended and started again, with all ranks of its replica; or a frontend. It counts as a failure when it is not well, and when no answer comes. 0 is never. One that starts is not counted, however long it takes.",
  }),
});
