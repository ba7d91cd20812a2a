/**
 * Settings in place of flags set by the plan (`kvTransfer`), and the guard of those flags.
 */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { reservedFlag } from "../../config/reserved";
import { engines } from "../../engines";
import { ENGINES, type ProgramPlan } from "../../plan/types";
import { type Deployment, flagOf, plannedProgram, problemsOf, SHAPES } from "./planShapes";

const jsonOf = (one: ProgramPlan, flag: string): unknown => JSON.parse(flagOf(one, flag) ?? "");

const with_ = (engine: "sglang" | "vllm" | "trtllm", more: Partial<Deployment>): Deployment => ({
  ...SHAPES.disagg,
  engine,
  ...more,
});

describe("kvTransfer", () => {
  it("has NIXL take another of its backends, with each engine", () => {
    const kvTransfer = { backend: "LIBFABRIC" } as const;
    expect(jsonOf(plannedProgram(with_("vllm", { kvTransfer }), "decode-0"), "--kv-transfer-config")).toEqual(
      {
        kv_connector: "NixlConnector",
        kv_role: "kv_consumer",
        kv_connector_extra_config: { backends: ["LIBFABRIC"] },
      },
    );
    const sglang = plannedProgram(
      with_("sglang", { kvTransfer: { ...kvTransfer, extra: { num_threads: "8" } } }),
      "prefill-0",
    );
    expect(flagOf(sglang, "--disaggregation-transfer-backend")).toBe("nixl");
    expect(sglang.env).toMatchObject({
      SGLANG_DISAGGREGATION_NIXL_BACKEND: "LIBFABRIC",
      SGLANG_DISAGGREGATION_NIXL_BACKEND_PARAMS: '{"num_threads":"8"}',
    });
    const trtllm = plannedProgram(with_("trtllm", { kvTransfer }), "decode-0");
    expect(trtllm.env).toMatchObject({ TRTLLM_NIXL_KVCACHE_BACKEND: "LIBFABRIC" });
  });

  it("says NIXL's backend on every node of a TensorRT-LLM world", () => {
    const pools = (["prefill", "decode"] as const).map((role) => ({ role, tensorParallel: 16 }));
    const spanning = with_("trtllm", { pools, cluster: { nodes: 4 }, kvTransfer: { backend: "LIBFABRIC" } });
    for (const name of ["prefill-0", "prefill-0-rank1", "decode-0-rank1"])
      expect(plannedProgram(spanning, name).env).toMatchObject({ TRTLLM_NIXL_KVCACHE_BACKEND: "LIBFABRIC" });
  });

  it("has another connector hand over, by the engine's own name for it", () => {
    const mooncake = with_("vllm", {
      kvTransfer: { connector: "MooncakeConnector", extra: { protocol: "rdma" } },
    });
    const extra = { kv_connector_extra_config: { protocol: "rdma" } };
    expect(jsonOf(plannedProgram(mooncake, "prefill-0"), "--kv-transfer-config")).toEqual({
      kv_connector: "MooncakeConnector",
      kv_role: "kv_producer",
      ...extra,
    });
    expect(jsonOf(plannedProgram(mooncake, "decode-0"), "--kv-transfer-config")).toMatchObject({
      kv_role: "kv_consumer",
    });
    const prefill = plannedProgram(mooncake, "prefill-0");
    expect(prefill.env["VLLM_MOONCAKE_BOOTSTRAP_PORT"]).toBe(String(prefill.ports["sideChannel"]));
    const sglang = plannedProgram(with_("sglang", { kvTransfer: { connector: "mooncake" } }), "decode-0");
    expect(flagOf(sglang, "--disaggregation-transfer-backend")).toBe("mooncake");
    const trtllm = plannedProgram(with_("trtllm", { kvTransfer: { connector: "UCX" } }), "decode-0");
    expect(flagOf(trtllm, "--trtllm.cache_transceiver_config.backend")).toBe("UCX");
  });

  it.each([
    ...["LMCacheConnectorV1", "LMCacheMPConnector", "FlexKVConnectorV1", "SimpleCPUOffloadConnector"],
  ])("keeps blocks by %s, alone in aggregated workers and beside NIXL in prefill workers", (connector) => {
    const kvTransfer = { connector, backend: "LIBFABRIC", extra: { chunk: 256 } } as const;
    const keeps = {
      kv_connector: connector,
      kv_role: "kv_both",
      kv_connector_extra_config: { chunk: 256 },
    };
    const moves = (kv_role: string) => ({
      kv_connector: "NixlConnector",
      kv_role,
      kv_connector_extra_config: { backends: ["LIBFABRIC"] },
    });
    const disaggregated = with_("vllm", { kvTransfer });
    expect(jsonOf(plannedProgram(disaggregated, "prefill-0"), "--kv-transfer-config")).toMatchObject({
      kv_connector: "MultiConnector",
      kv_connector_extra_config: { connectors: [keeps, moves("kv_producer")] },
    });
    expect(jsonOf(plannedProgram(disaggregated, "decode-0"), "--kv-transfer-config")).toEqual(
      moves("kv_consumer"),
    );
    const aggregated = with_("vllm", {
      kvTransfer: { connector, extra: { chunk: 256 } },
      pools: [{ role: "aggregated", tensorParallel: 8 }],
    });
    expect(jsonOf(plannedProgram(aggregated, "aggregated-0"), "--kv-transfer-config")).toEqual(keeps);
  });

  it("says vLLM's own fields beside the connector's settings, of two connectors for the whole too", () => {
    const extra = { kv_load_failure_policy: "recompute", kv_buffer_size: 2e9, chunk: 256 };
    const own = { kv_load_failure_policy: "recompute", kv_buffer_size: 2e9 };
    const one = with_("vllm", { kvTransfer: { extra } });
    expect(jsonOf(plannedProgram(one, "decode-0"), "--kv-transfer-config")).toEqual({
      kv_connector: "NixlConnector",
      kv_role: "kv_consumer",
      ...own,
      kv_connector_extra_config: { chunk: 256 },
    });
    const two = with_("vllm", { kvTransfer: { connector: "LMCacheMPConnector", extra } });
    expect(jsonOf(plannedProgram(two, "prefill-0"), "--kv-transfer-config")).toMatchObject({
      kv_connector: "MultiConnector",
      ...own,
      kv_connector_extra_config: { connectors: [{ ...own, kv_connector_extra_config: { chunk: 256 } }, {}] },
    });
  });

  it("keeps blocks in host memory by vLLM's own connector, with its size", () => {
    const kvTransfer = { connector: "OffloadingConnector", extra: { cpu_bytes_to_use: 1e9 } };
    const pools = [{ role: "aggregated", tensorParallel: 8 }] as const;
    const worker = plannedProgram(with_("vllm", { kvTransfer, pools: [...pools] }), "aggregated-0");
    expect(jsonOf(worker, "--kv-transfer-config")).toMatchObject({
      kv_connector: "OffloadingConnector",
      kv_connector_extra_config: { cpu_bytes_to_use: 1e9 },
    });
  });

  const refused: readonly (readonly [string, Deployment, string])[] = [
    [
      "what the plan says of vLLM's configuration",
      with_("vllm", { kvTransfer: { extra: { kv_role: "kv_both" } } }),
      "kvTransfer.extra.kv_role: is set by the plan. Remove it; it follows from kvTransfer.connector and pools.",
    ],
    [
      "a policy that vLLM has not",
      with_("vllm", { kvTransfer: { extra: { kv_load_failure_policy: "retry" } } }),
      'kvTransfer.extra.kv_load_failure_policy: "retry" is no policy of vLLM\'s. Allowed: recompute, fail.',
    ],
    [
      "settings below their own name",
      with_("vllm", { kvTransfer: { extra: { kv_connector_extra_config: {} } } }),
      "kvTransfer.extra.kv_connector_extra_config: is what kvTransfer.extra itself becomes. Write its keys here.",
    ],
    [
      "a connector without the size that it needs",
      with_("vllm", { kvTransfer: { connector: "OffloadingConnector" } }),
      "kvTransfer.extra: needs cpu_bytes_to_use with the connector OffloadingConnector.",
    ],
    [
      "a backend of NIXL that the engine does not take",
      with_("trtllm", { kvTransfer: { backend: "Mooncake" } }),
      'kvTransfer.backend: "Mooncake" is no backend of NIXL that engine trtllm takes. Allowed: UCX, LIBFABRIC.',
    ],
    [
      "an engine that hands nothing over",
      { ...SHAPES.dev, kvTransfer: { backend: "UCX" } },
      'kvTransfer.backend: "UCX" has no meaning for engine mocker',
    ],
    [
      "another engine's connector",
      with_("sglang", { kvTransfer: { connector: "NixlConnector" } }),
      'kvTransfer.connector: "NixlConnector" is no connector of engine sglang. Allowed: nixl, mooncake, mori, ascend.',
    ],
    [
      "half a name",
      with_("vllm", { kvTransfer: { connector: "lmcache" } }),
      'Did you mean "LMCacheConnectorV1"?',
    ],
    [
      "a backend as connector",
      with_("vllm", { kvTransfer: { connector: "libfabric" } }),
      "For NIXL's backend of that name use kvTransfer.backend.",
    ],
    [
      "a backend without NIXL",
      with_("sglang", { kvTransfer: { connector: "mooncake", backend: "UCX" } }),
      'kvTransfer.backend: "UCX" has no effect with the connector mooncake, which is not NIXL.',
    ],
    [
      "a backend said twice",
      with_("vllm", { kvTransfer: { backend: "UCX", extra: { backends: ["GDS"] } } }),
      'kvTransfer.backend: "UCX" and kvTransfer.extra.backends say the same.',
    ],
    [
      "more settings where they have another place",
      with_("trtllm", { kvTransfer: { extra: { max_tokens_in_buffer: 4096 } } }),
      "kvTransfer.extra: is not possible with engine trtllm and the connector DEFAULT. Use engineConfig.cache_transceiver_config instead.",
    ],
    [
      "nothing to hand over",
      { ...SHAPES.single, kvTransfer: { backend: "LIBFABRIC" } },
      'kvTransfer.backend: "LIBFABRIC" has no effect: there are no prefill and decode pools',
    ],
    [
      "two that keep blocks",
      with_("vllm", { kvTransfer: { connector: "LMCacheConnectorV1" }, kvOffload: { hostMemoryGB: 10 } }),
      'kvTransfer.connector: "LMCacheConnectorV1" does not go with kvOffload',
    ],
  ];
  it.each(refused)("refuses %s", (_, input, message) => {
    expect(problemsOf(input).join("\n")).toContain(message);
  });
});

/**
 * All notations of a flag that an engine's parser accepts: https://docs.python.org/3/library/argparse.html
 */
const writings = (flag: string): fc.Arbitrary<string> => {
  const isLong = flag.startsWith("--");
  const name = isLong ? flag.slice(2) : flag;
  const shortest = isLong ? 3 : 2;
  const forms = [
    fc.constant(flag),
    fc.string().map((value) => `${flag}=${value}`),
    fc
      .integer({ min: Math.min(shortest, flag.length), max: flag.length })
      .map((length) => flag.slice(0, length)),
    ...(isLong
      ? [
          fc.constant(`--no-${name}`),
          fc.constant(`--${name.replaceAll("-", "_")}`),
          fc.constant(`--${name.replaceAll("_", "-")}`),
          fc.constant(`--no_${name.replaceAll("-", "_")}=true`),
          fc.constantFrom("key", "a.b", "list+").map((key) => `${flag}.${key}`),
        ]
      : []),
    // A value right after a single letter.
    ...(flag.length === 2 ? [fc.integer({ min: 0, max: 99 }).map((value) => `${flag}${value}`)] : []),
  ];
  return fc.oneof(...forms);
};

/** Flags that users may set, including all with the same prefix as a reserved one. */
const FREE: Readonly<Record<(typeof ENGINES)[number], readonly string[]>> = {
  sglang: [
    ...[
      "--mem-fraction-static",
      "--context-length",
      "--trust-remote-code",
      "--model-impl",
      "--enable-dp-lm-head",
    ],
    ...["--disaggregation-ib-device", "--disaggregation-decode-tp", "--moe-a2a-backend", "--nccl-port"],
    ...[
      "--host-memory=1",
      "--kv-cache-dtype",
      "--dist-timeout",
      "--ep-num-redundant-experts",
      "--dyn-default-thinking-mode",
    ],
  ],
  vllm: [
    ...[
      "--model-impl",
      "--max-model-len",
      "--data-parallel-backend",
      "--compilation-config.mode",
      "-O3",
      "-cc",
      "-sc",
    ],
    ...[
      "--kv-cache-dtype",
      "--block-size-hint=1",
      "--headless-x",
      "--no-enable-prefix-caching",
      "-q",
      "-dcp",
      "-asc",
    ],
  ],
  trtllm: [
    ...[
      "--trtllm.kv_cache_config.dtype",
      "--trtllm.cache_transceiver_config.max_tokens_in_buffer",
      "--max-batch-size",
    ],
    ...[
      "--trtllm.moe_config.backend",
      "--extra-engine-args",
      "--model-loader-extra-config",
      "--free-gpu-memory-fraction",
    ],
    ...["--trtllm.enable_chunked_prefill", "--trtllm.max_batch_size", "--modality"],
  ],
  mocker: ["--speedup-ratio", "--num-gpu-blocks-override", "--max-num-seqs", "--extra-engine-args"],
};

describe.each(ENGINES)("the guard of %s's reserved flags", (engine) => {
  const { reservedFlags } = engines[engine];
  const names = Object.keys(reservedFlags);

  it("knows each of them however it is written", () => {
    const written = fc.constantFrom(...names).chain((flag) => fc.tuple(fc.constant(flag), writings(flag)));
    fc.assert(
      fc.property(written, ([flag, argument]) => {
        expect(reservedFlag(reservedFlags, argument), `${argument} stands for ${flag}`).toBeDefined();
      }),
      { numRuns: 2000 },
    );
  });

  it("names the flag itself where that is written in full", () => {
    for (const flag of names)
      for (const argument of [flag, `${flag}=1`, flag.replaceAll("-", "_").replace(/^_+/, "--")].slice(
        0,
        flag.startsWith("--") ? 3 : 2,
      ))
        expect(reservedFlag(reservedFlags, argument)?.flag).toBe(flag);
  });

  it("leaves all others to the user, and everything that is no flag", () => {
    for (const argument of FREE[engine])
      expect(reservedFlag(reservedFlags, argument), argument).toBeUndefined();
    const value = fc.string().filter((text) => !/^-[^-]|^--./.test(text));
    fc.assert(
      fc.property(value, (text) => {
        expect(reservedFlag(reservedFlags, text)).toBeUndefined();
      }),
    );
  });
});

describe("what was found to slip past the guard", () => {
  it.each([
    ["trtllm", "--trtllm.tensor_parallel_size"],
    ["trtllm", "--trtllm.kv_cache_config.tokens_per_block"],
    ["trtllm", "--trtllm.kv_cache_config"],
    ["trtllm", "--trtllm.kv_connector_config.connector_module"],
    ["trtllm", "--no-publish-events-and-metrics"],
    ["vllm", "-t"],
    ["vllm", "-n2"],
    ["vllm", "--kv_transfer_config.kv_connector"],
    ["vllm", "--prefill-context-parallel-size"],
    ["vllm", "--event-plane"],
    ["sglang", "--nn"],
    ["sglang", "--namespace=other"],
    ["sglang", "--config"],
    ["sglang", "--base-gpu-id"],
    ["mocker", "--is-prefill-worker"],
  ] as const)("%s %s", (engine, argument) => {
    expect(problemsOf({ ...SHAPES.disagg, engine, engineArgs: [argument] }).join("\n")).toMatch(
      /^engineArgs\.0: -\S+ is set by the plan/,
    );
  });

  it.each([
    ["sglang", "DYN_RUNTIME_SYSTEM_HOST"],
    ["trtllm", "DYN_TRTLLM_TENSOR_PARALLEL_SIZE"],
    ["vllm", "DYN_CONNECTOR"],
    ["sglang", "DYN_ENDPOINT"],
  ] as const)("with engine %s the variable %s", (engine, name) => {
    expect(problemsOf({ ...SHAPES.disagg, engine, engineEnv: { [name]: "x" } }).join("\n")).toContain(
      `engineEnv.${name}: ${name} is set by the plan`,
    );
  });
});
