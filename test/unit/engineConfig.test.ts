/** `engineConfig`: how it is merged with what the plan says, and what it cannot say. */
import { describe, expect, it } from "vitest";
import { engines } from "../../engines";
import type { ProgramPlan } from "../../plan/types";
import { type Deployment, flagOf, plannedProgram, problemsOf, SHAPES } from "./planShapes";

const jsonOf = (one: ProgramPlan, flag: string): unknown => JSON.parse(flagOf(one, flag) ?? "");

const with_ = (engine: "sglang" | "vllm" | "trtllm", more: Partial<Deployment>): Deployment => ({
  ...SHAPES.disagg,
  engine,
  ...more,
});

describe("engineConfig", () => {
  const engineConfig = {
    cuda_graph_config: { batch_sizes: [1, 2, 4], enable_padding: true },
    kv_cache_config: { dtype: "fp8" },
    cache_transceiver_config: { max_tokens_in_buffer: 8192 },
  } as const;

  it("is merged with what the plan says, a pool's over the deployment's", () => {
    const [prefill, decode] = SHAPES.disagg.pools;
    const input = with_("trtllm", {
      engineConfig,
      router: { blockSize: 64 },
      pools: [{ ...prefill, engineConfig: { cuda_graph_config: { enable_padding: false } } }, decode],
    });
    const worker = plannedProgram(input, "prefill-0");
    expect(jsonOf(worker, "--override-engine-args")).toEqual({
      kv_cache_config: { tokens_per_block: 64, dtype: "fp8" },
      cache_transceiver_config: { backend: "DEFAULT", max_tokens_in_buffer: 8192 },
      disable_overlap_scheduler: true,
      cuda_graph_config: { batch_sizes: [1, 2, 4], enable_padding: false },
    });
    // Dynamo's worker accepts one form only.
    expect(worker.command.filter((argument) => argument.startsWith("--trtllm."))).toEqual([]);
    expect(jsonOf(plannedProgram(input, "decode-0"), "--override-engine-args")).toMatchObject({
      cuda_graph_config: { enable_padding: true },
    });
  });

  it("comes before a file of the engine's configuration, whose sizes do not count", () => {
    const worker = plannedProgram(
      with_("trtllm", { engineArgs: ["--extra-engine-args", "/etc/prefill.yaml"] }),
      "prefill-0",
    );
    expect(flagOf(worker, "--trtllm.tensor_parallel_size")).toBe("4");
    expect(flagOf(worker, "--trtllm.pipeline_parallel_size")).toBe("1");
    expect(flagOf(worker, "--trtllm.enable_attention_dp")).toBe("false");
  });

  it.each(Object.entries(engines.trtllm.reservedKeys ?? {}))("cannot say %s", (key, instead) => {
    const said = key.split(".").reduceRight<unknown>((value, part) => ({ [part]: value }), 3);
    const remedy = instead === undefined ? "it follows from pools and cluster" : `use ${instead} instead`;
    const message = `engineConfig.${key}: is set by the plan. Remove it; ${remedy}.`;
    expect(problemsOf(with_("trtllm", { engineConfig: said as typeof engineConfig }))).toEqual([message]);
    const [prefill, decode] = SHAPES.disagg.pools;
    const ofPool = [prefill, { ...decode, engineConfig: said as typeof engineConfig }];
    expect(problemsOf(with_("trtllm", { pools: ofPool }))).toEqual([`pools.1.${message}`]);
  });

  it("may say again what the plan says", () => {
    const again = {
      tensor_parallel_size: 4,
      pipeline_parallel_size: 1,
      enable_attention_dp: false,
      gpus_per_node: 8,
      max_seq_len: 8192,
      kv_cache_config: { tokens_per_block: 64 },
      cache_transceiver_config: { backend: "UCX" },
    };
    const input = with_("trtllm", {
      engineConfig: again,
      contextLength: 8192,
      router: { blockSize: 64 },
      kvTransfer: { connector: "UCX" },
    });
    expect(problemsOf(input)).toEqual([]);
    expect(jsonOf(plannedProgram(input, "decode-0"), "--override-engine-args")).toEqual(again);
    expect(problemsOf({ ...input, router: { blockSize: 32 } })).toEqual([
      "engineConfig.kv_cache_config.tokens_per_block: is set by the plan. Remove it; use router.blockSize instead.",
    ]);
  });

  it.each([
    ["cuda_graph_cofig", {}, 'is not a key that the engine takes. Did you mean "cuda_graph_config"?'],
    [
      "cache_transceiver_config.max_token_in_buffer",
      4096,
      'is not a key that the engine takes. Did you mean "cache_transceiver_config.max_tokens_in_buffer"?',
    ],
    [
      "moe_backend",
      "CUTLASS",
      "is not a key that the engine takes any more. Use moe_config.backend instead.",
    ],
    ["fast_build", true, "is not a key that the engine takes any more. Remove it."],
  ])("refuses the key %s", (key, value, message) => {
    const said = key.split(".").reduceRight<unknown>((below, part) => ({ [part]: below }), value);
    expect(problemsOf(with_("trtllm", { engineConfig: said as typeof engineConfig }))).toEqual([
      `engineConfig.${key}: ${message}`,
    ]);
  });

  it("leaves keys that are not known to the engine", () => {
    expect(problemsOf(with_("trtllm", { engineConfig: { a_key_of_tomorrow: 1 } }))).toEqual([]);
  });

  it("has groups where the plan has them, and goes with no key as a flag", () => {
    expect(problemsOf(with_("trtllm", { engineConfig: { kv_cache_config: null } }))[0]).toBe(
      "engineConfig.kv_cache_config: null is no group of settings. Allowed: an object, with its keys one by one.",
    );
    expect(
      problemsOf(with_("trtllm", { engineConfig, engineArgs: ["--trtllm.print_iter_log", "true"] })),
    ).toEqual([
      'engineArgs.0: "--trtllm.print_iter_log" does not go with engineConfig: Dynamo takes one of the two. Say it there.',
    ]);
  });

  it.each(["sglang", "vllm"] as const)("is refused with %s, which takes arguments", (engine) => {
    expect(problemsOf(with_(engine, { engineConfig }))).toEqual([
      `engineConfig: is for engine trtllm; ${engine} takes arguments alone. Say it in engineArgs.`,
    ]);
  });
});

describe("kv_connector_config, TensorRT-LLM's connector that keeps blocks", () => {
  const asked = (group: object | string, more: Partial<Deployment> = {}) =>
    problemsOf(
      with_("trtllm", {
        engineConfig: { kv_connector_config: group } as Deployment["engineConfig"],
        ...more,
      }),
    );

  it.each([
    [{ connector: "lmcache" }],
    [{ connector: "lmcache-mp", server_url: "tcp://10.0.0.5:5555" }],
    [{ connector_module: "mine.connector", connector_scheduler_class: "A", connector_worker_class: "B" }],
  ])("takes %o", (group) => {
    const input = with_("trtllm", {
      engineConfig: { kv_connector_config: group } as Deployment["engineConfig"],
    });
    expect(jsonOf(plannedProgram(input, "prefill-0"), "--override-engine-args")).toMatchObject({
      kv_connector_config: group,
      cache_transceiver_config: { backend: "DEFAULT" },
    });
  });

  it("refuses what the engine would when it has loaded the model", () => {
    const at = "engineConfig.kv_connector_config";
    expect(asked({ server_url: "tcp://10.0.0.5:5555" })).toEqual([
      `${at}: names no connector. Set connector to lmcache or lmcache-mp, or connector_module with its classes.`,
    ]);
    expect(asked("lmcache")).toEqual([
      `${at}: is no group of settings. Allowed: an object, with its keys one by one.`,
    ]);
    expect(asked({ connector: "redis" })).toEqual([
      `${at}: names the connector "redis", which TensorRT-LLM does not have. Allowed: lmcache, lmcache-mp; any other by connector_module with its classes.`,
    ]);
    const engineConfig = { max_beam_width: 2, kv_connector_config: { connector: "lmcache" } };
    expect(problemsOf(with_("trtllm", { engineConfig }))).toEqual([
      `${at}: is not possible with max_beam_width above 1. Remove one of the two.`,
    ]);
    const pools = [{ role: "aggregated", tensorParallel: 4, pipelineParallel: 2 }] as const;
    expect(asked({ connector: "lmcache" }, { pools: [...pools] })).toEqual([
      `${at}: is not possible with pipelineParallel. Remove it, or set that to 1.`,
    ]);
  });
});
