/** Arguments and variables of the user's that a program would refuse, or that say what a setting says. */

import { describe, expect, it } from "vitest";
import { type ArgumentsOf, argumentProblems, tableOf } from "../../config/arguments";
import { type FlagTable, FRONTEND_TABLE, flagOfVariable } from "../../config/flags";
import { reservedFlag, reservedFrontendFlag } from "../../config/reserved";
import { reservedVariable } from "../../config/reservedVariables";
import { ROUTER_KNOBS } from "../../config/router";
import type { ConfigInput } from "../../config/schema";
import { ENGINES, type EngineName, engines } from "../../engines";
import { type Deployment, plannedProgram, problemsOf, SHAPES } from "./planShapes";

const told = (program: ArgumentsOf, args: readonly string[], knowsAll = true) =>
  argumentProblems(program, args, { knowsAll }).map(({ index, message }) => `${index}: ${message}`);

describe("arguments that a program takes", () => {
  it.each([
    ["sglang", ["--mem-fraction-static", "0.9", "--enable-metrics", "--lora-paths", "a=/a", "b=/b"]],
    ["sglang", ["--json-model-override-args", '{"rope_scaling": {"factor": 4}}', "--watchdog-timeout=900"]],
    [
      "sglang",
      ["--model-checksum", "--chat-template", "{{FILES}}/chat.jinja", "--max-running-requests", "-1"],
    ],
    // The beginning of a flag, as argparse takes it.
    ["sglang", ["--max-running", "8"]],
    ["vllm", ["--max_num_seqs", "8", "-O3", "--no-enable-prefix-caching", "-q", "fp8", "-cc.mode", "3"]],
    ["vllm", ["--speculative-config.model", "org/draft", "--compilation-config", '{"mode": 3}', "-sc", "{}"]],
    ["vllm", ["--hf-overrides", "x"]],
    ["sglang", ["--chat-template", "{{ bos_token }}{% for m in messages %}{% endfor %}"]],
    ["trtllm", ["--trtllm.cuda_graph_config.max_batch_size", "8", "--max-batch-size=4"]],
    ["mocker", ["--speedup-ratio", "10"]],
    ["frontend", ["--router-queue-policy", "fcfs", "--no-router-replica-sync"]],
    ["frontend", []],
  ] as const)("%s: %j", (program, args) => {
    expect(told(program, args)).toEqual([]);
  });
});

describe("arguments that it would refuse", () => {
  it.each([
    ["sglang", ["serve", "--enable-metrics"], '0: "serve" is no flag, and sglang takes nothing but flags'],
    ["sglang", ["--enable-metrics", "true"], '1: "true" is no value of --enable-metrics'],
    [
      "sglang",
      ["--enable-metrics=true"],
      "0: --enable-metrics takes no value. Write --enable-metrics alone.",
    ],
    ["sglang", ["--watchdog-timeout=900", "x"], '1: "x" is no value of --watchdog-timeout'],
    ["sglang", ["--watchdog-timeout", "900", "x"], '2: "x" is no value of --watchdog-timeout'],
    ["sglang", [""], '0: "" is no flag'],
    ["sglang", ["--"], '0: "--" ends the flags'],
    ["sglang", ["--watchdog-timeout"], "0: --watchdog-timeout needs a value"],
    ["sglang", ["--watchdog-timeout", "--enable-metrics"], "0: --watchdog-timeout needs a value"],
    ["sglang", ["-h"], "0: -h prints something and ends the program"],
    ["vllm", ["--help"], "0: --help prints something"],
    ["trtllm", ["--version"], "0: --version prints something"],
    ["mocker", ["--help"], "0: --help prints something"],
    ["frontend", ["--version"], "0: --version prints something"],
    ["frontend", ["value"], '0: "value" is no flag'],
    ["vllm", ["--disable-log-requests"], "0: --disable-log-requests is no flag of vllm"],
    ["vllm", ["--max-num-sesq", "8"], "Did you mean --max-num-seqs?"],
    // SGLang does not take _ for -.
    ["sglang", ["--max_running_requests", "8"], "Did you mean --max-running-requests?"],
    ["sglang", ["--enable-ep-moe"], "0: --enable-ep-moe is no flag of sglang"],
    ["sglang", ["-log-level", "debug"], "Did you mean --log-level?"],
    ["vllm", ["--speculative-config", "eagle"], '1: "eagle" is not JSON, which --speculative-config takes.'],
    ["vllm", ["--speculative-config={'method': 'ngram'}"], "0: "],
    ["vllm", ["-cc", "3x"], '1: "3x" is not JSON'],
    ["vllm", ["--hf-overrides", "{'a': 1}"], "is not JSON, which --hf-overrides takes"],
    ["sglang", ["--json-model-override-args", "rope"], '1: "rope" is not JSON'],
    ["sglang", ["--hicache-storage-backend-extra-config", "{'a': 1}"], "is not JSON"],
    ["frontend", ["--router-conditional-disagg-config", "64"], undefined],
    ["frontend", ["--router-conditional-disagg-config", "short"], '1: "short" is not JSON'],
  ] as const)("%s: %j", (program, args, problem) => {
    if (problem === undefined) expect(told(program, args)).toEqual([]);
    else {
      expect(told(program, args)).toHaveLength(1);
      expect(told(program, args)[0]).toContain(problem);
    }
  });

  it("only where the release is known: another image may have another engine", () => {
    expect(told("vllm", ["--from-the-future", "1"], false)).toEqual([]);
    const input = { ...SHAPES.single, engineArgs: ["--from-the-future", "1"] };
    expect(problemsOf(input)).toEqual([expect.stringContaining("--from-the-future is no flag of sglang")]);
    const own = { ...input, sky: { image: "docker:registry.example.com/own:1" } };
    expect(problemsOf(own)).toEqual([]);
    const frontend = { args: ["--dyn-chat-processor", "vllm", "--enable-auto-tool-choice"] };
    expect(problemsOf({ ...SHAPES.vllm, router: { blockSize: 16 }, frontend })).toEqual([]);
  });

  it("wherever they stand, and a reserved flag once", () => {
    const engineArgs = ["-tp8"];
    const vllm = { ...SHAPES.vllm, engineArgs, frontend: { args: ["x"] } };
    expect(problemsOf(vllm)).toEqual([
      "engineArgs.0: -tp is set by the plan. Remove it; use pools[].tensorParallel instead.",
      expect.stringContaining('frontend.args.0: "x" is no flag'),
    ]);
    const pools = [{ role: "aggregated", replicas: 8, engineArgs: ["-tp", "8"] }] as const;
    expect(problemsOf({ ...SHAPES.single, pools })).toEqual([
      "pools.0.engineArgs.0: --tp is set by the plan. Remove it; use pools[].tensorParallel instead.",
    ]);
    expect(problemsOf({ ...SHAPES.vllm, engineArgs: ["--task", "embed"] })).toEqual([
      "engineArgs.0: --task is set by the plan. Remove it; use task instead.",
    ]);
  });
});

describe("names of what the plan sets", () => {
  const reservedOf = (program: ArgumentsOf) => (flag: string) =>
    program === "frontend"
      ? reservedFrontendFlag(flag)
      : reservedFlag(engines[program].reservedFlags, flag, tableOf(program));
  const programs = [...ENGINES, "frontend"] as const;

  it.each(programs)("are reserved with all other spellings, of %s too", (program) => {
    const reserved = reservedOf(program);
    for (const [alias, flag] of Object.entries(tableOf(program).aliases))
      expect(reserved(alias)?.instead ?? reserved(alias)?.flag, alias).toBe(
        reserved(flag)?.instead ?? reserved(alias)?.flag,
      );
  });

  it.each(programs)("are taken for no other flag of %s", (program) => {
    const { flags, aliases } = tableOf(program);
    const ofTable = (flag: string) => aliases[flag] ?? flag;
    for (const flag of Object.keys(flags)) {
      const found = reservedOf(program)(flag)?.flag;
      if (found !== undefined) expect(ofTable(found)).toBe(ofTable(flag));
    }
  });

  const variableOf = (program: ArgumentsOf, name: string): string[] => {
    const engine: EngineName = program === "frontend" ? "sglang" : program;
    const env = { [name]: "1" };
    return problemsOf({
      ...SHAPES.single,
      engine,
      ...(program === "frontend" ? { frontend: { env } } : { engineEnv: env }),
    });
  };

  it.each(programs)("are reserved as variables of %s", (program) => {
    const named = Object.entries(tableOf(program).variables).filter(([, flag]) => reservedOf(program)(flag));
    expect(named.length > 0).toBe(program !== "mocker" || named.length > 0);
    // One of a connector that is refused altogether names that, and what to set.
    for (const [name] of named)
      expect(variableOf(program, name).join(), name).toMatch(
        new RegExp(`${name} is (set by the plan|for KVBM, .* Use kvOffload)`),
      );
  });

  it.each([
    ["sglang", "DYN_ENDPOINT_TYPES", "task"],
    ["vllm", "DYN_VLLM_EMBEDDING_WORKER", "task"],
    ["sglang", "DYN_SGL_EMBEDDING_WORKER", "task"],
    ["frontend", "DYN_ROUTER_USE_KV_EVENTS", "router.kvEvents"],
    ["frontend", "DYN_MIGRATION_LIMIT", "frontend.migrationLimit"],
    ["vllm", "DYN_ROUTER_MODE", "router.mode"],
  ] as const)("%s: %s is %s", (program, name, setting) => {
    expect(variableOf(program, name).join()).toContain(`se ${setting} instead`);
  });

  it.each(["--kv-events", "--no-kv-events", "--no-router-kv-events"])(
    "%s is the router's, of a worker too",
    (flag) => {
      expect(reservedFrontendFlag(flag)?.instead).toBe("router.kvEvents");
      for (const engine of ["sglang", "vllm", "trtllm"] as const)
        expect(reservedOf(engine)(flag)?.instead, engine).toBe("router.kvEvents");
    },
  );
});

describe("addresses and ranks that the plan sets", () => {
  const NAMES = [
    ...["VLLM_HOST_IP", "SGLANG_HOST_IP", "HOST_IP", "VLLM_PORT", "MASTER_ADDR", "MASTER_PORT"],
    ...["RANK", "LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "VLLM_DP_MASTER_IP"],
  ];
  it.each(NAMES)("refuse %s", (name) => {
    expect(problemsOf({ ...SHAPES.single, engineEnv: { [name]: "1" } })).toEqual([
      expect.stringContaining(`engineEnv.${name}: ${name} is set by the plan`),
    ]);
  });

  it("leave what chooses an interface, or a time, to the user", () => {
    const engineEnv = {
      GLOO_SOCKET_IFNAME: "eth1",
      NCCL_SOCKET_IFNAME: "eth1",
      UCX_NET_DEVICES: "mlx5_0:1",
      NCCL_IB_HCA: "mlx5",
      VLLM_RPC_TIMEOUT: "60000",
      PYTHONHASHSEED: "1",
    };
    expect(problemsOf({ ...SHAPES.single, engineEnv })).toEqual([]);
  });

  it("are every address and port in the environment of a plan's workers", () => {
    for (const shape of Object.values(SHAPES)) {
      const pools = (shape as Deployment).pools ?? [{ role: "aggregated" }];
      const { env, ports } = plannedProgram(shape, `${pools[0]?.role}-0`);
      const numbers = Object.values(ports).map(String);
      for (const [name, value] of Object.entries(env))
        if (/_IP\}\}|^127\./.test(value) || numbers.includes(value))
          expect(reservedVariable(name), `${name}=${value}`).toBeDefined();
    }
  });
});

describe("a setting and what the plan makes of it", () => {
  const real = (engine: EngineName): Deployment => ({
    model: "Qwen/Qwen3-8B",
    engine,
    cluster: { gpusPerNode: 1 },
  });
  const FRACTION: Partial<ConfigInput> = { pools: [{ role: "aggregated", gpuMemoryFraction: 0.4 }] };
  it.each<[EngineName, Partial<ConfigInput>, Partial<ConfigInput>, string]>([
    [
      "vllm",
      { contextLength: 8192 },
      { engineArgs: ["--max-model-len", "4096"] },
      "engineArgs.0: --max-model-len says what contextLength sets, which is 8192",
    ],
    [
      "vllm",
      { contextLength: 8192 },
      { engineArgs: ["--max_model_len=4096"] },
      "engineArgs.0: --max-model-len says what contextLength",
    ],
    ["sglang", { contextLength: 8192 }, { engineArgs: ["--context-length", "4096"] }, "contextLength"],
    ["trtllm", { contextLength: 8192 }, { engineArgs: ["--max-seq-len", "4096"] }, "contextLength"],
    ["trtllm", { contextLength: 8192 }, { engineArgs: ["--trtllm.max_seq_len", "4096"] }, "contextLength"],
    [
      "trtllm",
      { contextLength: 8192 },
      { engineConfig: { max_seq_len: 4096 } },
      "engineConfig.max_seq_len: max_seq_len says what contextLength",
    ],
    [
      "trtllm",
      { contextLength: 8192 },
      { engineEnv: { DYN_TRTLLM_MAX_SEQ_LEN: "4096" } },
      "engineEnv.DYN_TRTLLM_MAX_SEQ_LEN: DYN_TRTLLM_MAX_SEQ_LEN says what contextLength",
    ],
    [
      "vllm",
      FRACTION,
      { engineArgs: ["--gpu-memory-utilization", "0.9"] },
      "engineArgs.0: --gpu-memory-utilization says what pools[].gpuMemoryFraction sets, which is 0.4",
    ],
    ["vllm", FRACTION, { engineArgs: ["--device-memory-utilization", "0.9"] }, "pools[].gpuMemoryFraction"],
    ["vllm", FRACTION, { engineArgs: ["--kv-cache-memory-bytes", "1G"] }, "pools[].gpuMemoryFraction"],
    ["sglang", FRACTION, { engineArgs: ["--mem-fraction-static", "0.9"] }, "pools[].gpuMemoryFraction"],
    ["trtllm", FRACTION, { engineArgs: ["--free-gpu-memory-fraction", "0.9"] }, "pools[].gpuMemoryFraction"],
    [
      "trtllm",
      FRACTION,
      { engineConfig: { kv_cache_config: { free_gpu_memory_fraction: 0.9 } } },
      "pools[].gpuMemoryFraction",
    ],
    ["vllm", { trustRemoteCode: true }, { engineArgs: ["--no-trust-remote-code"] }, "trustRemoteCode"],
    [
      "sglang",
      { kvOffload: { hostMemoryGB: 8 } },
      { engineArgs: ["--hicache-ratio", "2"] },
      "kvOffload.hostMemoryGB",
    ],
    [
      "sglang",
      { router: { temperature: 0.5 } },
      { frontend: { args: ["--router-temperature", "1"] } },
      "frontend.args.0: --router-temperature says what router.temperature sets, which is 0.5",
    ],
    [
      "sglang",
      { router: { temperature: 0.5 } },
      { frontend: { env: { DYN_ROUTER_TEMPERATURE: "1" } } },
      "router.temperature",
    ],
    [
      "sglang",
      { router: { temperature: 0.5 } },
      { sky: { envs: { DYN_ROUTER_TEMPERATURE: "1" } } },
      "router.temperature",
    ],
    [
      "sglang",
      { router: { trackOutputBlocks: true } },
      { frontend: { args: ["--no-track-output-blocks"] } },
      "router.trackOutputBlocks",
    ],
    [
      "sglang",
      { router: { prefillLoadScale: 2 } },
      { frontend: { args: ["--kv-overlap-score-weight", "1"] } },
      "router.prefillLoadScale",
    ],
    [
      "sglang",
      { frontend: { migrationMaxSeqLen: 9, args: ["--migration-max-seq-len", "1"] } },
      {},
      "frontend.migrationMaxSeqLen",
    ],
  ])("with engine %s: %j and %j", (engine, setting, other, message) => {
    expect(problemsOf({ ...real(engine), ...setting, ...other }).join("\n")).toContain(message);
    // Each of them alone is the user's to choose.
    if (Object.keys(other).length > 0) expect(problemsOf({ ...real(engine), ...other })).toEqual([]);
  });

  it("of another pool does not count", () => {
    const pools = [
      { role: "prefill", gpuMemoryFraction: 0.4 },
      { role: "decode", engineArgs: ["--gpu-memory-utilization", "0.8"] },
    ] as const;
    expect(problemsOf({ ...real("vllm"), cluster: { gpusPerNode: 2 }, pools })).toEqual([]);
  });

  it("is known for every flag that appears with a setting, and for no other", () => {
    const given: Partial<ConfigInput> = {
      contextLength: 8192,
      trustRemoteCode: true,
      modelRevision: "main",
      kvOffload: { hostMemoryGB: 8, diskGB: 8 },
      router: { blockSize: 64 },
      pools: [{ role: "aggregated", gpuMemoryFraction: 0.4 }],
    };
    for (const engine of ["sglang", "vllm", "trtllm"] as const) {
      const { kvOffload: _, ...plain } = given;
      const input = engine === "sglang" ? given : plain;
      const flagsOf = (deployment: Deployment) =>
        plannedProgram(deployment, "aggregated-0").command.filter((argument) => argument.startsWith("--"));
      const before = new Set(flagsOf(real(engine)));
      const more = flagsOf({ ...real(engine), ...input }).filter((flag) => !before.has(flag));
      expect(more.length).toBeGreaterThan(3);
      const { reservedFlags, settingFlags = {} } = engines[engine];
      for (const flag of more)
        expect(reservedFlag({ ...reservedFlags, ...settingFlags }, flag)?.flag, `${engine} ${flag}`).toBe(
          flag,
        );
    }
  });

  it("has every option of the router as a flag of the frontend", () => {
    const { flags, variables }: FlagTable = FRONTEND_TABLE;
    for (const { flag } of ROUTER_KNOBS) {
      expect(flags).toHaveProperty([flag]);
      expect(Object.values(variables), flag).toContain(flag);
    }
    expect(flagOfVariable(FRONTEND_TABLE, "PATH")).toBeUndefined();
  });
});

describe("a replica over several nodes", () => {
  const spanning = (engine: EngineName, engineArgs: string[], tensorParallel = 16): Deployment => ({
    model: "Qwen/Qwen3-8B",
    engine,
    cluster: { nodes: 2, allowIdleGpus: true },
    pools: [{ role: "aggregated", tensorParallel, engineArgs }],
  });
  it.each([
    ["vllm", ["--distributed-executor-backend=ray"]],
    ["vllm", ["--distributed_executor_backend", "ray"]],
    ["vllm", ["--distributed-executor-backend", "external_launcher"]],
    ["vllm", ["-dpb", "ray"]],
    ["sglang", ["--use-ray"]],
  ] as const)("is not started by another than the plan: %s %j", (engine, args) => {
    expect(problemsOf(spanning(engine, [...args]))).toEqual([
      expect.stringMatching(
        /^pools\.0\.engineArgs\.0: --\S+ has the ranks of a replica started in another way\. Over several nodes the plan starts a process on each node itself/,
      ),
    ]);
    expect(problemsOf(spanning(engine, [...args], 8))).toEqual([]);
  });

  it("of TensorRT-LLM is an MPI world", () => {
    expect(problemsOf(spanning("trtllm", ["--trtllm.orchestrator_type", "ray"])).join()).toContain(
      "--trtllm.orchestrator_type is set by the plan",
    );
  });

  it("may be told what it does anyway", () => {
    expect(problemsOf(spanning("vllm", ["--distributed-executor-backend", "mp"]))).toEqual([]);
  });
});
