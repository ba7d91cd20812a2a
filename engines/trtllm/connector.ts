/** TensorRT-LLM's connector that keeps blocks, as `engineConfig` has it. */

import type { PoolConfig } from "../../config/deployment";
import type { ConfigProblem } from "../engine";
import { type Config, isGroup } from "../engineConfig";
import { KVBM } from "../transfer";

/**
 * Those with a name of their own, but for KVBM:
 * https://github.com/NVIDIA/TensorRT-LLM/blob/main/tensorrt_llm/_torch/pyexecutor/connectors/registry.py
 */
const CONNECTORS: readonly string[] = ["lmcache", "lmcache-mp"];

/**
 * What TensorRT-LLM finds wrong with a connector that keeps blocks when it has loaded the model:
 * https://nvidia.github.io/TensorRT-LLM/1.3.0rc29/features/kv-cache-connector.html
 */
export function connectorProblems(said: Config, pools: readonly PoolConfig[]): ConfigProblem[] {
  const { kv_connector_config: group } = said;
  if (group === undefined || group === null) return [];
  const at = (message: string) => [{ key: "kv_connector_config", message }];
  if (!isGroup(group)) return at("is no group of settings. Allowed: an object, with its keys one by one.");
  const named = [group["connector"], group["connector_module"]];
  if (named.some((name) => typeof name === "string" && /^kvbm\b/.test(name)))
    return at(`names ${KVBM}. Use kvOffload.hostMemoryGB, or the connector lmcache or lmcache-mp.`);
  if (named.every((name) => name === undefined))
    return at(
      "names no connector. Set connector to lmcache or lmcache-mp, or connector_module with its classes.",
    );
  const { connector } = group;
  if (typeof connector === "string" && !CONNECTORS.includes(connector))
    return at(
      `names the connector ${JSON.stringify(connector)}, which TensorRT-LLM does not have. Allowed: ${CONNECTORS.join(", ")}; any other by connector_module with its classes.`,
    );
  const { max_beam_width: beams } = said;
  if (typeof beams === "number" && beams > 1)
    return at("is not possible with max_beam_width above 1. Remove one of the two.");
  if (pools.some(({ pipelineParallel }) => pipelineParallel > 1))
    return at("is not possible with pipelineParallel. Remove it, or set that to 1.");
  return [];
}
