/**
 * Dynamo's own simulated engine: registers, streams tokens and publishes KV events like a real one, without a GPU.
 * It stands in for SGLang, so that a cluster can be rehearsed with the block size of the real one.
 */
import type { Engine } from "./engine";

const MODES = { aggregated: "agg", prefill: "prefill", decode: "decode" } as const;

/** Flags: `python -m dynamo.mocker --help`. */
export const mocker: Engine = {
  start({ config, pool }) {
    return {
      command: [
        ...["python3", "-m", "dynamo.mocker"],
        ...["--model-path", config.model],
        ...["--model-name", config.servedModelName],
        ...["--engine-type", "sglang"],
        ...["--sglang-page-size", String(config.router.blockSize)],
        ...["--disaggregation-mode", MODES[pool.role]],
        ...["--data-parallel-size", String(pool.dataParallel)],
        ...config.engineArgs,
        ...pool.engineArgs,
      ],
      env: { ...config.engineEnv, ...pool.engineEnv },
    };
  },
};
