import { engines, realEngines } from "../engines";
import { plainObject } from "./plain";
import { oneOf, optional, section, text } from "./values";

/**
 * NIXL's backends that transfer blocks between GPUs of different processes:
 * https://github.com/ai-dynamo/nixl/tree/main/src/plugins
 */
export const NIXL_BACKENDS = ["UCX", "LIBFABRIC", "Mooncake", "UCCL", "GPUNETIO"] as const;

/** Each engine's name for NIXL. */
const examples = () =>
  realEngines()
    .map((name) => `${engines[name].transfer?.byNixl.at(-1)} (${name})`)
    .join(", ");

export const kvTransferSchema = section({
  connector: optional(
    text({
      noun: "a connector",
      allowed: `the engine's own name for one, such as ${examples()}`,
      pattern: /^\w+$/,
    }),
    {
      absent: "NIXL",
      about:
        "What hands KV blocks from prefill to decode workers, by the engine's own name: vLLM's `kv_connector`, SGLang's `--disaggregation-transfer-backend`, TensorRT-LLM's `cache_transceiver_config.backend`. With vLLM also what keeps blocks beside it, such as LMCacheConnectorV1; the servers of LMCacheMPConnector and MooncakeStoreConnector are yours to run.",
    },
  ),
  backend: optional(oneOf("a backend of NIXL", NIXL_BACKENDS), {
    absent: "the engine's own: UCX",
    about: "By which of its backends NIXL moves them: LIBFABRIC for EFA, the network of AWS.",
  }),
  extra: optional(plainObject("an object with settings of the connector"), {
    absent: "none",
    about:
      "More settings of the connector: vLLM's `kv_connector_extra_config`, and of its own fields `kv_load_failure_policy`, `kv_buffer_size`, `kv_buffer_device`; with SGLang parameters of NIXL's backend. With TensorRT-LLM they go into `engineConfig.cache_transceiver_config`.",
  }),
});
