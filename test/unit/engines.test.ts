import { describe, expect, it } from "vitest";
import { reservedFlag, reservedFrontendFlag } from "../../config/reserved";
import { reservedVariable } from "../../config/reservedVariables";
import { engines } from "../../engines";
import { parseConfig } from "../../plan/config";
import { ALWAYS_SET_OF_DYNAMO } from "../../plan/programs/environment";
import { ALWAYS_SET_OF_FRONTENDS } from "../../plan/programs/frontend";
import { ALWAYS_SET_OF_WORKERS } from "../../plan/programs/worker";
import { ENGINES, type EngineName, type ProgramPlan, programsOf, WORKER_ROLES } from "../../plan/types";
import { type Deployment, flagOf, planned, plannedProgram, problemsOf, SHAPES } from "./planShapes";

/** Flags on separate lines, with their values; then the engines' environment variables. */
function readable({ name, command, env, gpus }: ProgramPlan): string {
  const lines: string[] = [];
  for (const argument of command.slice(2)) {
    if (lines.length === 0 || argument.startsWith("--")) lines.push(argument);
    else lines.push(`${lines.pop()} ${argument}`);
  }
  const own = Object.entries(env).filter(([key]) =>
    /^(CUDA|VLLM|SGLANG|PYTHONHASH|DYN_SYSTEM|DYN_TCP|DYN_RUNTIME)/.test(key),
  );
  return [
    `${name}: ${lines.join("\n  ")}`,
    ...own.map(([key, value]) => `  ${key}=${value.replace("{{GPUS}}", gpus.join(","))}`),
  ].join("\n");
}

describe("commands of the documented shapes", () => {
  it.each(Object.entries(SHAPES))("%s", (_, shape) => {
    const shown = programsOf(planned(shape))
      .filter(({ role }) => role !== "etcd" && role !== "nats")
      .map(readable);
    expect(`\n${shown.join("\n\n")}\n`).toMatchSnapshot();
  });
});

/** Flags of each engine and the frontend for the block size. */
const BLOCK_SIZE_FLAGS = {
  sglang: ["--page-size"],
  vllm: ["--block-size"],
  trtllm: ["--kv-block-size", "--trtllm.kv_cache_config.tokens_per_block"],
} as const;

describe("the size of a KV block", () => {
  const input = (engine: EngineName, router: Deployment["router"]): Deployment => ({
    ...SHAPES.disagg,
    engine,
    router,
  });
  const engineNames = ["sglang", "vllm", "trtllm"] as const;

  it.each(engineNames)("is left to %s by model, and the router takes what its workers register", (engine) => {
    for (const router of [{}, { mode: "round-robin" }, { kvEvents: false }] as const)
      for (const { command } of programsOf(planned(input(engine, router))))
        expect(
          command.filter((argument) => /block[-_]size|page[-_]size|tokens_per_block/.test(argument)),
        ).toEqual([]);
  });

  it.each(engineNames)("is the same for %s and the router where it is set", (engine) => {
    for (const name of ["prefill-0", "decode-0"])
      for (const flag of BLOCK_SIZE_FLAGS[engine])
        expect(flagOf(plannedProgram(input(engine, { blockSize: 64 }), name), flag)).toBe("64");
    expect(
      flagOf(plannedProgram(input(engine, { blockSize: 64 }), "frontend-0"), "--kv-cache-block-size"),
    ).toBe("64");
  });

  it("is 16 tokens for the mocker, which simulates no model that could choose", () => {
    expect(flagOf(plannedProgram(SHAPES.dev, "prefill-0"), "--block-size")).toBe("16");
    expect(plannedProgram(SHAPES.dev, "frontend-0").command).not.toContain("--kv-cache-block-size");
  });

  it("has to be said where blocks become files, or a part of the frontend counts in blocks of its own", () => {
    const disk = { hostMemoryGB: 10, diskGB: 100 };
    expect(problemsOf({ ...SHAPES.disagg, kvOffload: disk })[0]).toContain(
      "router.blockSize: is needed with kvOffload.diskGB",
    );
    expect(problemsOf({ ...SHAPES.vllm, kvOffload: { hostMemoryGB: 10 } })).toEqual([]);
    const frontend = { args: ["--dyn-chat-processor", "vllm"] };
    expect(problemsOf({ ...SHAPES.vllm, frontend })[0]).toContain(
      "router.blockSize: is needed with --dyn-chat-processor",
    );
    expect(problemsOf({ ...SHAPES.vllm, frontend, router: { blockSize: 16 } })).toEqual([]);
  });
});

/** The value at a setting's path, with the first pool for `pools[]`. */
function settingAt(config: object, path: string): unknown {
  return path
    .replace("[]", ".0")
    .split(".")
    .reduce<unknown>(
      (value, key) => (typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined),
      config,
    );
}

describe("what nobody asked for", () => {
  /** With only the required settings of such a deployment. */
  const bare = (engine: EngineName): Deployment[] => {
    const groups = engine === "mocker" ? 1 : 2;
    const shapes: Deployment["pools"][] = [
      undefined,
      [{ role: "prefill" }, { role: "decode" }],
      [{ role: "aggregated", tensorParallel: engine === "trtllm" ? 1 : 2, dataParallel: groups }],
      [{ role: "aggregated", tensorParallel: 16 }],
    ];
    return shapes.map((pools) => ({
      model: "Qwen/Qwen3-8B",
      engine,
      ...(pools === undefined ? {} : { pools }),
      cluster: { nodes: 2, allowIdleGpus: true },
      frontend: { replicas: 2 },
    }));
  };

  it.each(ENGINES)(
    "is given to %s only with a reason, else it is wiring or some setting's value",
    (engine) => {
      for (const input of bare(engine)) {
        const config = parseConfig(input);
        const { reservedFlags, alwaysSet } = engines[engine];
        const reasons = { ...alwaysSet, ...ALWAYS_SET_OF_DYNAMO, ...ALWAYS_SET_OF_WORKERS };
        for (const { command, env, role, mpi } of programsOf(planned(input))) {
          const isFrontend = role === "frontend";
          if (!isFrontend && !WORKER_ROLES.some((one) => one === role)) continue;
          const known = isFrontend ? { ...ALWAYS_SET_OF_DYNAMO, ...ALWAYS_SET_OF_FRONTENDS } : reasons;
          const given = command.slice(mpi?.worker ?? 0).filter((argument) => /^--?[a-z]/.test(argument));
          for (const flag of given.filter((one) => one !== "-m" && !Object.hasOwn(known, one))) {
            const reserved = isFrontend ? reservedFrontendFlag(flag) : reservedFlag(reservedFlags, flag);
            const setting = reserved?.instead ?? FRONTEND_SETTINGS[flag];
            expect(reserved ?? setting, `${flag} of ${role}`).toBeDefined();
            if (setting !== undefined)
              expect(settingAt(config, setting), `${flag}: ${setting}`).toBeDefined();
          }
          for (const name of Object.keys(env))
            expect(
              reservedVariable(name) ?? known[name] ?? (OF_MPI.test(name) || undefined),
              name,
            ).toBeDefined();
        }
      }
    },
  );

  it.each(ENGINES)("is listed for %s only where it is given", (engine) => {
    const given = bare(engine).flatMap((input) =>
      programsOf(planned(input)).flatMap(({ command, env }) => [...command, ...Object.keys(env)]),
    );
    for (const [flag, reason] of Object.entries(engines[engine].alwaysSet)) {
      expect(given).toContain(flag);
      expect(reason.length).toBeGreaterThan(20);
    }
  });
});

/** Flags of a frontend for a setting's value, which `frontend.args` may override. */
const FRONTEND_SETTINGS: Readonly<Record<string, string>> = {
  "--router-mode": "router.mode",
  "--migration-limit": "frontend.migrationLimit",
};

/** Variables of an MPI world: `engines/trtllm/mpi.ts`. */
const OF_MPI = /^OMPI_MCA_/;

describe("a worker that is told to stop", () => {
  it.each([
    [30, "20"],
    [300, "290"],
    [10, "5"],
  ])("with %d seconds for it has %s for the requests in progress", (stopSeconds, expected) => {
    const stopping = { ...SHAPES.vllm, timeouts: { stopSeconds } };
    const name = "DYN_GRACEFUL_SHUTDOWN_GRACE_PERIOD_SECS";
    expect(plannedProgram(stopping, "prefill-0").env[name]).toBe(expected);
    expect(plannedProgram(stopping, "frontend-0").env[name]).toBeUndefined();
  });
});

describe("mocker with offload", () => {
  const offloading = {
    ...SHAPES.dev,
    kvOffload: { hostMemoryGB: 2, diskGB: 4 },
    pools: [{ role: "prefill", tensorParallel: 2 }, { role: "decode" }],
  } as const satisfies Deployment;

  it("simulates host memory of as many blocks as the gigabytes of all GPUs hold", () => {
    const prefill = plannedProgram(offloading, "prefill-0");
    expect(flagOf(prefill, "--engine-type")).toBe("vllm");
    // 147456 bytes a token, 16 tokens a block.
    expect(flagOf(prefill, "--num-host-blocks")).toBe("1695");
    expect(flagOf(prefill, "--kv-bytes-per-token")).toBe("147456");
    expect(flagOf(plannedProgram(offloading, "decode-0"), "--num-host-blocks")).toBeUndefined();
    expect(flagOf(plannedProgram(offloading, "decode-0"), "--engine-type")).toBe("sglang");
  });
});

describe("mocker", () => {
  it("has a process on every node of a replica, and lets only the first be seen by frontends", () => {
    const spanning = { ...SHAPES.multi, engine: "mocker" } as const;
    const second = plannedProgram(spanning, "aggregated-0-rank1");
    expect(flagOf(second, "--discovery-backend")).toBe("mem");
    expect(plannedProgram(spanning, "aggregated-0").command).not.toContain("--discovery-backend");
    expect(planned(spanning).expectedWorkers.aggregated).toBe(1);
  });

  it("is not told which GPUs it has", () => {
    expect(plannedProgram(SHAPES.dev, "decode-1").env).not.toHaveProperty("CUDA_VISIBLE_DEVICES");
    expect(plannedProgram(SHAPES.dev, "decode-1").gpus).toEqual([2]);
  });
});

describe("any engine", () => {
  it("takes what the user adds last, and a pool's over the deployment's", () => {
    const added = {
      ...SHAPES.single,
      engineArgs: ["--log-level", "warning"],
      engineEnv: { NCCL_DEBUG: "WARN", SGLANG_LOG_MS: "1" },
      pools: [
        {
          role: "aggregated",
          replicas: 8,
          engineArgs: ["--log-level", "debug"],
          engineEnv: { NCCL_DEBUG: "INFO" },
        },
      ],
    } as const;
    const worker = plannedProgram(added, "aggregated-7");
    expect(worker.command.slice(-4)).toEqual(["--log-level", "warning", "--log-level", "debug"]);
    expect(worker.env).toMatchObject({
      NCCL_DEBUG: "INFO",
      SGLANG_LOG_MS: "1",
    });
    expect(worker.gpus).toEqual([7]);
  });

  const interfaces = ({ env }: ProgramPlan) => [env["GLOO_SOCKET_IFNAME"], env["NCCL_SOCKET_IFNAME"]];

  it.each(["sglang", "vllm", "trtllm"] as const)("has the ranks of %s meet where the nodes are", (engine) => {
    const two = {
      model: "Qwen/Qwen3-8B",
      engine,
      cluster: { nodes: 2, gpusPerNode: 2 },
      pools: [{ role: "aggregated", tensorParallel: 4 }],
    } as const;
    for (const name of ["aggregated-0", "aggregated-0-rank1"])
      expect(interfaces(plannedProgram(two, name))).toEqual(["{{NODE_INTERFACE}}", undefined]);
    // All ranks of a replica on one node; with a single node NCCL too, which otherwise may carry KV caches
    // between nodes.
    const [a, b] = [two.cluster, { ...two.cluster, nodes: 1 }].map((cluster) =>
      plannedProgram(
        { ...two, cluster, pools: [{ role: "aggregated", replicas: cluster.nodes, tensorParallel: 2 }] },
        "aggregated-0",
      ),
    );
    expect([a, b].map((one) => one && interfaces(one))).toEqual([
      ["lo", undefined],
      ["lo", "lo"],
    ]);
  });

  it("leaves the interface to who says it himself: engineEnv, a pool's, or sky.envs for all of a node", () => {
    const two = {
      model: "Qwen/Qwen3-8B",
      cluster: { nodes: 2, gpusPerNode: 2 },
      pools: [{ role: "aggregated", tensorParallel: 4 }],
    } as const;
    const told = (change: Deployment) => plannedProgram(change, "aggregated-0").env["GLOO_SOCKET_IFNAME"];
    const own = { GLOO_SOCKET_IFNAME: "bond0" };
    expect(told({ ...two, engineEnv: own })).toBe("bond0");
    expect(told({ ...two, pools: [{ ...two.pools[0], engineEnv: own }] })).toBe("bond0");
    expect(told({ ...two, sky: { envs: own } })).toBeUndefined();
  });

  it("is not told again what the plan settles", () => {
    const again = (engine: "sglang" | "vllm" | "trtllm" | "mocker", ...engineArgs: string[]) =>
      problemsOf({ ...SHAPES.trtllm, engine, engineArgs });
    expect(again("sglang", "--log-level", "info", "--tp=4", "--nnodes")).toEqual([
      "engineArgs.2: --tp is set by the plan. Remove it; use pools[].tensorParallel instead.",
      "engineArgs.3: --nnodes is set by the plan. Remove it; it follows from pools and cluster.",
    ]);
    expect(again("vllm", "--no-enable-expert-parallel")).toEqual([
      "engineArgs.0: --enable-expert-parallel is set by the plan. Remove it; use pools[].expertParallel instead.",
    ]);
    expect(again("trtllm", "--override-engine-args={}")).toEqual([
      "engineArgs.0: --override-engine-args is set by the plan. Remove it; use engineConfig instead.",
    ]);
    const ofPool = {
      ...SHAPES.dev,
      pools: [{ role: "aggregated", engineArgs: ["--num-workers", "2"] }],
    } as const;
    expect(problemsOf(ofPool)).toEqual([
      "pools.0.engineArgs.0: --num-workers is set by the plan. Remove it; use pools[].replicas instead.",
    ]);
  });

  it("settles every flag that it gives, but those that a user may well want to change", () => {
    const free =
      /^--(trust-remote-code|revision|context-length|max-model-len|max-seq-len|trtllm\.|disaggregation-transfer|.*(fraction|utilization)|.*hicache.*|enable-hierarchical)/;
    for (const shape of [SHAPES.multi, SHAPES["deepseek-r1"], SHAPES.vllm, SHAPES.trtllm, SHAPES.dev]) {
      const { reservedFlags } = engines[planned(shape).engine];
      const given = programsOf(planned(shape))
        .filter(({ role }) => role === "aggregated" || role === "prefill" || role === "decode")
        .flatMap(({ command }) =>
          command.filter((argument) => /^--[a-z]/.test(argument) && !free.test(argument)),
        );
      for (const flag of given) expect(reservedFlags).toHaveProperty([flag]);
    }
  });

  it("finds a model of a bucket where the node has put it", () => {
    expect(
      flagOf(plannedProgram({ ...SHAPES.single, model: "s3://models/qwen" }, "aggregated-0"), "--model-path"),
    ).toMatch(/^{{MODELS}}\/qwen-[0-9a-f]{8}$/);
  });
});
