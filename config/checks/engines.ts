/** Limits of each engine: flags and their combinations. What fits the GPUs is checked by packing. */

import { defaultServedName } from "../model";
import type { EngineName } from "../names";
import type { Problem } from "../problems";
import { show } from "../values";
import type { Known } from ".";

type Pool = NonNullable<Known["pools"]>[number];
type PoolKey = keyof Pool;

interface Rules {
  pool(pool: Pool): { readonly key: PoolKey; readonly message: string }[];
  whole(known: Known): Problem[];
}

export function engineChecks(known: Known): Problem[] {
  const { engine, pools = [] } = known;
  if (engine === undefined) return [];
  const rules = RULES[engine];
  return [
    ...pools.flatMap((pool, index) =>
      rules.pool(pool).map(({ key, message }) => ({ path: ["pools", index, key], message })),
    ),
    ...rules.whole(known),
  ];
}

const world = (pool: Pool) => pool.tensorParallel * pool.dataParallel;

/** Mocker simulates scheduling and a KV cache; it has no GPU, no weights and no layers to cut. */
const mocker: Rules = {
  pool(pool) {
    const found: { key: PoolKey; message: string }[] = [];
    const refuse = (key: PoolKey, what: string) =>
      found.push({
        key,
        message: `${show(pool[key])} has no meaning for engine mocker, which has no ${what}. Remove it, or use a real engine.`,
      });
    if (pool.role === "encode")
      found.push({
        key: "role",
        message: `"encode" is not there with engine mocker: Dynamo's simulated engine has no workers that look at pictures. Use engine sglang, vllm or trtllm, or remove the pool.`,
      });
    if (pool.pipelineParallel > 1) refuse("pipelineParallel", "layers to cut into stages");
    if (pool.expertParallel !== undefined) refuse("expertParallel", "experts");
    if (pool.gpuMemoryFraction !== undefined) refuse("gpuMemoryFraction", "GPU memory");
    return found;
  },
  whole({ trustRemoteCode }) {
    if (trustRemoteCode !== true) return [];
    const message =
      "true has no meaning for engine mocker, which loads no code of a model. Remove it, or use a real engine.";
    return [{ path: ["trustRemoteCode"], message }];
  },
};

/** https://github.com/sgl-project/sglang/blob/v0.5.21/python/sglang/srt/server_args.py (`check_server_args`) */
const sglang: Rules = {
  pool(pool) {
    const { expertParallel } = pool;
    if (expertParallel === undefined || world(pool) % expertParallel === 0) return [];
    return [
      {
        key: "expertParallel",
        message: `${expertParallel} does not divide the ${world(pool)} GPUs of tensorParallel × dataParallel, as engine sglang demands (--ep-size). Use a divisor of ${world(pool)}.`,
      },
    ];
  },
  whole({ model, servedModelName }) {
    const name = servedModelName ?? (model === undefined ? "" : defaultServedName(model));
    if (!name.includes(":")) return [];
    const message = `${show(name)} has a colon, which engine sglang keeps for LoRA adapters (model:adapter). Set a name without one.`;
    return [{ path: ["servedModelName"], message }];
  },
};

/**
 * Expert parallelism is a switch in vLLM:
 * https://docs.vllm.ai/en/latest/serving/expert_parallel_deployment.html
 */
const vllm: Rules = {
  pool(pool) {
    const { expertParallel } = pool;
    if (expertParallel === undefined || expertParallel === 1 || expertParallel === world(pool)) return [];
    return [
      {
        key: "expertParallel",
        message: `${expertParallel} is not possible with engine vllm, which spreads experts over all GPUs or none (--enable-expert-parallel). Allowed: 1, ${world(pool)}.`,
      },
    ];
  },
  whole: ({ router }) => blockSizeProblem(router?.blockSize, "vllm", "a multiple of 16", (n) => n % 16 === 0),
};

/**
 * Attention data parallelism is a switch in TensorRT-LLM that makes every rank a group: `dynamo.trtllm
 * --enable-attention-dp`.
 */
const trtllm: Rules = {
  pool(pool) {
    const { dataParallel, expertParallel, tensorParallel } = pool;
    const found: { key: PoolKey; message: string }[] = [];
    if (dataParallel > 1 && tensorParallel > 1) {
      found.push({
        key: "dataParallel",
        message: `${dataParallel} with tensorParallel ${tensorParallel} is not possible with engine trtllm, where every attention group is one GPU (--enable-attention-dp). Use tensorParallel 1 with dataParallel ${dataParallel * tensorParallel}, or dataParallel 1 with tensorParallel ${dataParallel * tensorParallel}.`,
      });
    }
    if (expertParallel !== undefined && world(pool) % expertParallel !== 0) {
      found.push({
        key: "expertParallel",
        message: `${expertParallel} does not divide the ${world(pool)} GPUs of tensorParallel × dataParallel, as engine trtllm demands (--expert-parallel-size). Use a divisor of ${world(pool)}.`,
      });
    }
    return found;
  },
  // https://nvidia.github.io/TensorRT-LLM/features/kvcache.html: tokens per block must be a power of two.
  whole: ({ router }) =>
    blockSizeProblem(router?.blockSize, "trtllm", "a power of two", (n) => Number.isInteger(Math.log2(n))),
};

function blockSizeProblem(
  size: number | undefined,
  engine: EngineName,
  allowed: string,
  accepts: (size: number) => boolean,
): Problem[] {
  if (size === undefined || accepts(size)) return [];
  const message = `${size} is not possible with engine ${engine}. Allowed: ${allowed}, such as 16 or 32.`;
  return [{ path: ["router", "blockSize"], message }];
}

const RULES: Readonly<Record<EngineName, Rules>> = { sglang, vllm, trtllm, mocker };
