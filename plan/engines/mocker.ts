/**
 * Dynamo's own simulated engine: registers, streams tokens and publishes KV events like a real one, without a GPU.
 * It stands in for SGLang with the block size of the real one, so that a cluster can be rehearsed.
 *
 * It knows no tensor parallelism. GPUs are accounted for as for a real engine, and a replica over several nodes has a
 * process on each: rank 0 serves; the others register in their own memory, where no frontend looks, so that losing one of
 * them is like losing a rank of a real engine. (A namespace of their own would not do: a frontend of Dynamo 1.4.2 takes
 * `--namespace dynamo`, the default, for all namespaces.)
 */
import { modelPath } from "../model";
import { type Engine, extraArgs, extraEnv } from "./engine";

const MODES = { aggregated: "agg", prefill: "prefill", decode: "decode" } as const;

/** Flags: `python -m dynamo.mocker --help`. */
export const mocker: Engine = {
  settledFlags: {
    "--model-path": "model",
    "--model-name": "servedModelName",
    "--engine-type": undefined,
    "--sglang-page-size": "router.blockSize",
    "--block-size": "router.blockSize",
    "--disaggregation-mode": "pools[].role",
    "--data-parallel-size": "pools[].dataParallel",
    "--num-workers": "pools[].replicas",
    "--discovery-backend": "controlPlane.discovery",
    "--event-plane": "controlPlane.events",
    "--request-plane": "controlPlane.requestPlane",
  },
  usesGpus: false,
  shapeProblems: () => [],
  kind: ({ rank }) => (rank === 0 ? "worker" : "unseen"),
  ports: () => [],
  start(worker) {
    const { config, pool, rank } = worker;
    return {
      command: [
        ...["python3", "-m", "dynamo.mocker"],
        ...["--model-path", modelPath(config)],
        ...["--model-name", config.servedModelName],
        ...["--engine-type", "sglang"],
        ...["--sglang-page-size", String(config.router.blockSize)],
        ...["--disaggregation-mode", MODES[pool.role]],
        ...["--data-parallel-size", String(pool.dataParallel)],
        ...(rank > 0 ? ["--discovery-backend", "mem"] : []),
        ...extraArgs(worker),
      ],
      env: extraEnv(worker),
    };
  },
};
