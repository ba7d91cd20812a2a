/** What each engine is told: its flags, environment and ports. */
import { describe, expect, it } from "vitest";
import { programsOf } from "../../plan/types";
import { type Deployment, flagOf, planned, plannedProgram, problemsOf, SHAPES } from "./planShapes";

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
    expect(flagOf(plannedProgram(deployment, "aggregated-1-rank1"), "--dist-init-addr")).toBe(
      "{{RANK_IP_2}}:29500",
    );
  });

  it("listens on the address that it tells the others", () => {
    const prefill = plannedProgram(SHAPES.disagg, "prefill-0");
    expect(flagOf(prefill, "--host")).toBe(prefill.env["SGLANG_HOST_IP"]);
  });

  it("publishes KV events, each attention group on a port of its own", () => {
    const [leader, follower] = ["aggregated-0", "aggregated-0-rank1"].map((name) =>
      plannedProgram(SHAPES.multi, name),
    );
    expect(leader?.ports["kvEvents"]).toBe(5557);
    expect(follower?.ports["kvEvents"]).toBe(5558);
  });

  it("publishes none where the router is told not to expect any", () => {
    const silent = { ...SHAPES.disagg, router: { kvEvents: false } };
    expect(plannedProgram(silent, "prefill-0").command).not.toContain("--kv-events-config");
    expect(plannedProgram(silent, "frontend-0").command).toContain("--no-router-kv-events");
  });

  it("offloads where prefixes are kept, in whole GB for each rank", () => {
    const offloading = {
      ...SHAPES.disagg,
      kvOffload: { hostMemoryGB: 19.5, diskGB: 0.5, diskPath: "/data" },
      router: { blockSize: 64 },
    };
    const prefill = plannedProgram(offloading, "prefill-0");
    expect(flagOf(prefill, "--hicache-size")).toBe("20");
    expect(prefill.env["SGLANG_HICACHE_FILE_BACKEND_MAX_SIZE"]).toBe("500000000");
    expect(prefill.env["SGLANG_HICACHE_FILE_BACKEND_STORAGE_DIR"]).toBe("/data/prefill-0");
    expect(plannedProgram(offloading, "decode-0").command).not.toContain("--enable-hierarchical-cache");
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

describe("vllm", () => {
  const twoNodes = { ...SHAPES.vllm, cluster: { nodes: 2 } } as const;

  it("starts the second node of an attention group without a worker, which Dynamo cannot be asked about", () => {
    const spanning = { ...twoNodes, pools: [{ role: "aggregated", tensorParallel: 16 }] } as const;
    const second = plannedProgram(spanning, "aggregated-0-rank1");
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
    const second = plannedProgram(spread, "aggregated-0-rank1");
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
      JSON.parse(flagOf(plannedProgram(shape, name), "--kv-transfer-config") ?? "");
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
    const prefill = plannedProgram(tuned, "prefill-0");
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
      const first = plannedProgram(spanning, "aggregated-0");
      expect(first.command.slice(0, 13).join(" ")).toBe(
        "mpirun --allow-run-as-root -n 16 --host {{HEAD_IP}}:8,{{RANK_IP_1}}:8 --map-by slot --bind-to none trtllm-llmapi-launch python3 -m",
      );
      expect(first.mpi).toMatchObject({ hosts: ["{{HEAD_IP}}", "{{RANK_IP_1}}"], worker: 11 });
      expect(flagOf(first, "--tensor-parallel-size")).toBe("8");
      expect(flagOf(first, "--pipeline-parallel-size")).toBe("2");
      expect(planned(spanning).expectedWorkers.aggregated).toBe(1);
    });

    it("has Open MPI's daemon and nothing of Dynamo on the other node, which works when the first one serves", () => {
      const second = plannedProgram(spanning, "aggregated-0-rank1");
      expect(second.command).toEqual(["orted"]);
      expect(Object.keys(second.env).filter((name) => /^(DYN_|ETCD_|NATS_)/.test(name))).toEqual([]);
      expect(second.env["CUDA_VISIBLE_DEVICES"]).toBe("{{GPUS}}");
      expect(second.gpus).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
      expect(second.secretEnv).toEqual([]);
      expect(second.health).toEqual({ kind: "http", url: "http://{{HEAD_IP}}:9100/health" });
    });

    it("listens at ports of the plan: mpirun's, a daemon's, the ranks'", () => {
      const [first, second] = ["aggregated-0", "aggregated-0-rank1"].map((name) =>
        plannedProgram(spanning, name),
      );
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
      const leader = plannedProgram({ ...spanning, kvOffload: { hostMemoryGB: 20 } }, "aggregated-0");
      expect(flagOf(leader, "--trtllm.kv_cache_config.host_cache_size")).toBe("20000000000");
    });
  });

  it("offloads nothing of decode workers, which keep no prefixes", () => {
    const offloading = { ...SHAPES.trtllm, kvOffload: { hostMemoryGB: 20 } };
    const flag = "--trtllm.kv_cache_config.host_cache_size";
    expect(flagOf(plannedProgram(offloading, "prefill-1"), flag)).toBe("20000000000");
    expect(flagOf(plannedProgram(offloading, "decode-0"), flag)).toBeUndefined();
  });
});
