import { describe, expect, it } from "vitest";
import { reservedFlag, reservedFrontendFlag, reservedVariable } from "../../config/reserved";
import { parseConfig } from "../../plan/config";
import { engines } from "../../plan/engines";
import { UNASKED_OF_DYNAMO } from "../../plan/programs/environment";
import { UNASKED_OF_FRONTENDS } from "../../plan/programs/frontend";
import { UNASKED_OF_WORKERS } from "../../plan/programs/worker";
import { ENGINES, type EngineName, type ProgramPlan, programsOf, WORKER_ROLES } from "../../plan/types";
import { type Deployment, planned, problemsOf, SHAPES } from "./planShapes";

function program(input: Deployment, name: string): ProgramPlan {
  const found = programsOf(planned(input)).find((one) => one.name === name);
  if (found === undefined) throw new Error(`no program ${name}`);
  return found;
}

/** Value of a flag in a command. */
function flagOf({ command }: ProgramPlan, flag: string): string | undefined {
  const at = command.indexOf(flag);
  return at < 0 ? undefined : command[at + 1];
}

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

describe("sglang", () => {
  it("counts the whole world in --tp-size with attention data parallelism, over all nodes", () => {
    const ranks = programsOf(planned(SHAPES.multi)).filter(({ role }) => role === "aggregated");
    expect(
      ranks.map((rank) => [flagOf(rank, "--tp-size"), flagOf(rank, "--dp-size"), flagOf(rank, "--nnodes")]),
    ).toEqual([
      ["16", "2", "2"],
      ["16", "2", "2"],
    ]);
    expect(ranks.map((rank) => flagOf(rank, "--node-rank"))).toEqual(["0", "1"]);
    expect(ranks.map((rank) => flagOf(rank, "--dist-init-addr"))).toEqual([
      "{{HEAD_IP}}:29500",
      "{{HEAD_IP}}:29500",
    ]);
  });

  it("has the ranks of a replica meet on the replica's own first node", () => {
    const deployment = {
      ...SHAPES.multi,
      cluster: { nodes: 4 },
      pools: [{ role: "aggregated", replicas: 2, tensorParallel: 16 }],
    } as const;
    expect(flagOf(program(deployment, "aggregated-1-rank1"), "--dist-init-addr")).toBe("{{RANK_IP_2}}:29500");
  });

  it("listens on the address that it tells the others", () => {
    const prefill = program(SHAPES.disagg, "prefill-0");
    expect(flagOf(prefill, "--host")).toBe(prefill.env["SGLANG_HOST_IP"]);
  });

  it("publishes KV events, each attention group on a port of its own", () => {
    const [leader, follower] = ["aggregated-0", "aggregated-0-rank1"].map((name) =>
      program(SHAPES.multi, name),
    );
    expect(leader?.ports["kvEvents"]).toBe(5557);
    expect(follower?.ports["kvEvents"]).toBe(5558);
  });

  it("publishes none where the router is told not to expect any", () => {
    const silent = { ...SHAPES.disagg, router: { kvEvents: false } };
    expect(program(silent, "prefill-0").command).not.toContain("--kv-events-config");
    expect(program(silent, "frontend-0").command).toContain("--no-router-kv-events");
  });

  it("offloads where prefixes are kept, in whole GB for each rank", () => {
    const offloading = {
      ...SHAPES.disagg,
      kvOffload: { hostMemoryGB: 19.5, diskGB: 0.5, diskPath: "/data" },
      router: { blockSize: 64 },
    };
    const prefill = program(offloading, "prefill-0");
    expect(flagOf(prefill, "--hicache-size")).toBe("20");
    expect(prefill.env["SGLANG_HICACHE_FILE_BACKEND_MAX_SIZE"]).toBe("500000000");
    expect(prefill.env["SGLANG_HICACHE_FILE_BACKEND_STORAGE_DIR"]).toBe("/data/prefill-0");
    expect(program(offloading, "decode-0").command).not.toContain("--enable-hierarchical-cache");
  });

  it("refuses attention groups that cannot be spread evenly", () => {
    const uneven = {
      ...SHAPES.multi,
      cluster: { nodes: 4 },
      pools: [{ role: "aggregated", tensorParallel: 16, dataParallel: 2 }],
    } as const;
    expect(problemsOf(uneven)).toEqual([
      "pools.0.dataParallel: 2 attention groups cannot be spread evenly over the 4 nodes of a replica, as engine sglang demands. Allowed: 1, or a multiple of 4.",
    ]);
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
        expect(flagOf(program(input(engine, { blockSize: 64 }), name), flag)).toBe("64");
    expect(flagOf(program(input(engine, { blockSize: 64 }), "frontend-0"), "--kv-cache-block-size")).toBe(
      "64",
    );
  });

  it("is 16 tokens for the mocker, which simulates no model that could choose", () => {
    expect(flagOf(program(SHAPES.dev, "prefill-0"), "--block-size")).toBe("16");
    expect(program(SHAPES.dev, "frontend-0").command).not.toContain("--kv-cache-block-size");
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
        const { reservedFlags, unasked } = engines[engine];
        const reasons = { ...unasked, ...UNASKED_OF_DYNAMO, ...UNASKED_OF_WORKERS };
        for (const { command, env, role, mpi } of programsOf(planned(input))) {
          const isFrontend = role === "frontend";
          if (!isFrontend && !WORKER_ROLES.some((one) => one === role)) continue;
          const known = isFrontend ? { ...UNASKED_OF_DYNAMO, ...UNASKED_OF_FRONTENDS } : reasons;
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
    for (const [flag, reason] of Object.entries(engines[engine].unasked)) {
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

/** Variables of an MPI world: `plan/engines/mpi.ts`. */
const OF_MPI = /^OMPI_MCA_/;

describe("a worker that is told to stop", () => {
  it.each([
    [30, "20"],
    [300, "290"],
    [10, "5"],
  ])("with %d seconds for it has %s for the requests in progress", (stopSeconds, expected) => {
    const stopping = { ...SHAPES.vllm, timeouts: { stopSeconds } };
    const name = "DYN_GRACEFUL_SHUTDOWN_GRACE_PERIOD_SECS";
    expect(program(stopping, "prefill-0").env[name]).toBe(expected);
    expect(program(stopping, "frontend-0").env[name]).toBeUndefined();
  });
});

describe("mocker with offload", () => {
  const offloading = {
    ...SHAPES.dev,
    kvOffload: { hostMemoryGB: 2, diskGB: 4 },
    pools: [{ role: "prefill", tensorParallel: 2 }, { role: "decode" }],
  } as const satisfies Deployment;

  it("simulates host memory of as many blocks as the gigabytes of all GPUs hold", () => {
    const prefill = program(offloading, "prefill-0");
    expect(flagOf(prefill, "--engine-type")).toBe("vllm");
    // 147456 bytes a token, 16 tokens a block.
    expect(flagOf(prefill, "--num-host-blocks")).toBe("1695");
    expect(flagOf(prefill, "--kv-bytes-per-token")).toBe("147456");
    expect(flagOf(program(offloading, "decode-0"), "--num-host-blocks")).toBeUndefined();
    expect(flagOf(program(offloading, "decode-0"), "--engine-type")).toBe("sglang");
  });
});

describe("vllm", () => {
  const twoNodes = { ...SHAPES.vllm, cluster: { nodes: 2 } } as const;

  it("starts the second node of an attention group without a worker, which Dynamo cannot be asked about", () => {
    const spanning = { ...twoNodes, pools: [{ role: "aggregated", tensorParallel: 16 }] } as const;
    const second = program(spanning, "aggregated-0-rank1");
    expect(second.command).toContain("--headless");
    expect(second.env).not.toHaveProperty("DYN_SYSTEM_PORT");
    expect(second.health).toEqual({ kind: "tcp", host: "{{HEAD_IP}}", port: 29500 });
    expect(planned(spanning).expectedWorkers.aggregated).toBe(1);
  });

  it("has a worker on every node when attention groups are spread over nodes", () => {
    const spread = {
      ...twoNodes,
      pools: [{ role: "aggregated", dataParallel: 16, expertParallel: 16 }],
    } as const;
    const second = program(spread, "aggregated-0-rank1");
    expect(flagOf(second, "--data-parallel-start-rank")).toBe("8");
    expect(flagOf(second, "--data-parallel-size-local")).toBe("8");
    expect(second.command).toContain("--enable-expert-parallel");
    expect(planned(spread).expectedWorkers.aggregated).toBe(2);
  });

  it("moves KV blocks by NIXL, with a side channel of its own for each worker", () => {
    const workers = programsOf(planned(SHAPES.vllm)).filter(({ gpus }) => gpus.length > 0);
    expect(new Set(workers.map(({ env }) => env["VLLM_NIXL_SIDE_CHANNEL_PORT"])).size).toBe(4);
    for (const worker of workers) expect(flagOf(worker, "--kv-transfer-config")).toContain("NixlConnector");
  });

  it("offloads by itself, with the host memory of all GPUs of an attention group, beside what hands over", () => {
    const offloading = { ...SHAPES.vllm, kvOffload: { hostMemoryGB: 20 } };
    const keeps = (gb: number) => ({
      kv_connector: "OffloadingConnector",
      kv_role: "kv_both",
      kv_connector_extra_config: { cpu_bytes_to_use: gb * 1e9 },
    });
    const configOf = (shape: Deployment, name: string): unknown =>
      JSON.parse(flagOf(program(shape, name), "--kv-transfer-config") ?? "");
    expect(configOf(offloading, "prefill-1")).toMatchObject({
      kv_connector: "MultiConnector",
      kv_connector_extra_config: { connectors: [keeps(40), { kv_connector: "NixlConnector" }] },
    });
    expect(configOf(offloading, "decode-0")).toMatchObject({ kv_connector: "NixlConnector" });
    const wide = { ...twoNodes, kvOffload: { hostMemoryGB: 20 } };
    const tensor = { ...wide, pools: [{ role: "aggregated", tensorParallel: 16 }] } as const;
    expect(configOf(tensor, "aggregated-0")).toEqual(keeps(320));
    const groups = {
      ...wide,
      pools: [{ role: "aggregated", dataParallel: 16, expertParallel: 16 }],
    } as const;
    expect(configOf(groups, "aggregated-0-rank1")).toEqual(keeps(20));
  });
});

describe("trtllm", () => {
  it("says all of the KV cache's settings in one group, since a part would replace the rest", () => {
    const tuned = {
      ...SHAPES.trtllm,
      router: { blockSize: 32 },
      pools: SHAPES.trtllm.pools.map((pool) => ({ ...pool, gpuMemoryFraction: 0.8 })),
    };
    const prefill = program(tuned, "prefill-0");
    expect(flagOf(prefill, "--trtllm.kv_cache_config.tokens_per_block")).toBe("32");
    expect(flagOf(prefill, "--trtllm.kv_cache_config.free_gpu_memory_fraction")).toBe("0.8");
  });

  describe("over two nodes", () => {
    const spanning = {
      ...SHAPES.trtllm,
      cluster: { nodes: 2 },
      pools: [{ role: "aggregated", tensorParallel: 8, pipelineParallel: 2 }],
    } as const;

    it("is one MPI world with a rank for each GPU, which runs the documented command", () => {
      const first = program(spanning, "aggregated-0");
      expect(first.command.slice(0, 13).join(" ")).toBe(
        "mpirun --allow-run-as-root -n 16 --host {{HEAD_IP}}:8,{{RANK_IP_1}}:8 --map-by slot --bind-to none trtllm-llmapi-launch python3 -m",
      );
      expect(first.mpi).toMatchObject({ hosts: ["{{HEAD_IP}}", "{{RANK_IP_1}}"], worker: 11 });
      expect(flagOf(first, "--tensor-parallel-size")).toBe("8");
      expect(flagOf(first, "--pipeline-parallel-size")).toBe("2");
      expect(planned(spanning).expectedWorkers.aggregated).toBe(1);
    });

    it("has Open MPI's daemon and nothing of Dynamo on the other node, which works when the first one serves", () => {
      const second = program(spanning, "aggregated-0-rank1");
      expect(second.command).toEqual(["orted"]);
      expect(Object.keys(second.env).filter((name) => /^(DYN_|ETCD_|NATS_)/.test(name))).toEqual([]);
      expect(second.env["CUDA_VISIBLE_DEVICES"]).toBe("{{GPUS}}");
      expect(second.gpus).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
      expect(second.secretEnv).toEqual([]);
      expect(second.health).toEqual({ kind: "http", url: "http://{{HEAD_IP}}:9100/health" });
    });

    it("listens at ports of the plan: mpirun's, a daemon's, the ranks'", () => {
      const [first, second] = ["aggregated-0", "aggregated-0-rank1"].map((name) => program(spanning, name));
      for (const family of ["v4", "v6"]) {
        const daemons = `OMPI_MCA_oob_tcp_dynamic_ip${family}_ports`;
        expect([first?.env[daemons], first?.mpi?.daemonEnv?.[daemons]]).toEqual([
          "27000-27003",
          "27004-27007",
        ]);
        expect(second?.env[daemons]).toBe("27004-27007");
        expect(first?.env[`OMPI_MCA_btl_tcp_port_min_${family}`]).toBe("27008");
        expect(first?.env[`OMPI_MCA_btl_tcp_port_range_${family}`]).toBe("16");
      }
      const ports = Object.entries(second?.ports ?? {}).filter(([purpose]) => /^mpi\d*$/.test(purpose));
      expect(ports.map(([, port]) => port)).toEqual(Array.from({ length: 24 }, (_, at) => 27_000 + at));
    });

    it("offloads to the host memory of every rank", () => {
      const leader = program({ ...spanning, kvOffload: { hostMemoryGB: 20 } }, "aggregated-0");
      expect(flagOf(leader, "--trtllm.kv_cache_config.host_cache_size")).toBe("20000000000");
    });
  });

  it("offloads nothing of decode workers, which keep no prefixes", () => {
    const offloading = { ...SHAPES.trtllm, kvOffload: { hostMemoryGB: 20 } };
    const flag = "--trtllm.kv_cache_config.host_cache_size";
    expect(flagOf(program(offloading, "prefill-1"), flag)).toBe("20000000000");
    expect(flagOf(program(offloading, "decode-0"), flag)).toBeUndefined();
  });
});

describe("mocker", () => {
  it("has a process on every node of a replica, and lets only the first be seen by frontends", () => {
    const spanning = { ...SHAPES.multi, engine: "mocker" } as const;
    const second = program(spanning, "aggregated-0-rank1");
    expect(flagOf(second, "--discovery-backend")).toBe("mem");
    expect(program(spanning, "aggregated-0").command).not.toContain("--discovery-backend");
    expect(planned(spanning).expectedWorkers.aggregated).toBe(1);
  });

  it("is not told which GPUs it has", () => {
    expect(program(SHAPES.dev, "decode-1").env).not.toHaveProperty("CUDA_VISIBLE_DEVICES");
    expect(program(SHAPES.dev, "decode-1").gpus).toEqual([2]);
  });
});

describe("any engine", () => {
  it("takes what the user adds last, and a pool's over the deployment's", () => {
    const added = {
      ...SHAPES.single,
      engineArgs: ["--log-level", "warning"],
      engineEnv: { NCCL_DEBUG: "WARN", SGLANG_HOST_IP: "10.0.0.9" },
      pools: [
        {
          role: "aggregated",
          replicas: 8,
          engineArgs: ["--log-level", "debug"],
          engineEnv: { NCCL_DEBUG: "INFO" },
        },
      ],
    } as const;
    const worker = program(added, "aggregated-7");
    expect(worker.command.slice(-4)).toEqual(["--log-level", "warning", "--log-level", "debug"]);
    expect(worker.env).toMatchObject({
      NCCL_DEBUG: "INFO",
      SGLANG_HOST_IP: "10.0.0.9",
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
      expect(interfaces(program(two, name))).toEqual(["{{NODE_INTERFACE}}", undefined]);
    // All ranks of a replica on one node; with a single node NCCL too, which otherwise may carry KV caches
    // between nodes.
    const [a, b] = [two.cluster, { ...two.cluster, nodes: 1 }].map((cluster) =>
      program(
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
    const told = (change: Deployment) => program(change, "aggregated-0").env["GLOO_SOCKET_IFNAME"];
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
      flagOf(program({ ...SHAPES.single, model: "s3://models/qwen" }, "aggregated-0"), "--model-path"),
    ).toMatch(/^{{MODELS}}\/qwen-[0-9a-f]{8}$/);
  });
});
