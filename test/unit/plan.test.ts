import { describe, expect, it } from "vitest";
import { parseConfig } from "../../plan/config";
import { factsOf } from "../../plan/facts";
import { portSetting } from "../../plan/ports";
import { type DeploymentPlan, programsOf, secretsOfProgram } from "../../plan/types";
import { type Deployment, NO_SERVICES, planned, problemsOf, programOf, SERVICES, SHAPES } from "./planShapes";

const DEDICATED = {
  ...SHAPES.disagg,
  placement: "dedicated",
  pools: [
    { role: "prefill", replicas: 2, tensorParallel: 2, accelerator: "L40S" },
    { role: "decode", tensorParallel: 16 },
  ],
} as const satisfies Deployment;

describe("TLS between a deployment's programs", () => {
  const isOn = (input: Deployment) =>
    programsOf(planned(input)).some(({ secretEnv }) => secretEnv.includes("DYNAMO_SKY_NODES_AUTHORITY"));

  it.each<[boolean, string, Deployment]>([
    [false, "one node", SHAPES.dev],
    [true, "several nodes", SHAPES.multi],
    [true, "one node that was asked to", { ...SHAPES.dev, controlPlane: { tls: true } }],
    [false, "several nodes that were asked not to", { ...SHAPES.multi, controlPlane: { tls: false } }],
    [false, "clusters that may be known by an external address", DEDICATED],
    [true, "clusters on Slurm", { ...DEDICATED, sky: { infra: ["slurm/lab"] } }],
  ])("is %s with %s", (expected, _where, input) => {
    expect(isOn(input)).toBe(expected);
  });

  it("takes the place of etcd's password, and is in every URL", () => {
    const multi = planned(SHAPES.multi);
    const { env, secretEnv, waitsFor } = programOf(multi, "frontend-0");
    expect(secretEnv).toEqual(["DYNAMO_SKY_NODES_AUTHORITY", "NATS_AUTH_TOKEN"]);
    expect(env).toMatchObject({
      ETCD_ENDPOINTS: "https://{{HEAD_IP}}:2379",
      NATS_SERVER: "tls://{{HEAD_IP}}:4222",
    });
    expect(env).not.toHaveProperty("ETCD_AUTH_USERNAME");
    expect(waitsFor[0]?.probe).toEqual({ kind: "http", url: "http://{{HEAD_IP}}:2381/health" });
    expect(programOf(multi, "etcd").secretEnv).toEqual(["DYNAMO_SKY_NODES_AUTHORITY"]);
    expect(programOf(multi, "etcd").command).toContain("https://{{NODE_IP}}:2379");
    expect(programOf(multi, "nats").files?.["nats.conf"]).toMatch(/^tls \{.*verify: true \}$/m);
  });
});

describe("control plane", () => {
  it("is etcd and NATS on the head's own address, and every Dynamo process waits for both", () => {
    const dev = planned(SHAPES.dev);
    expect(programOf(dev, "etcd").command).toEqual([
      ...["python3", "{{NODE_DIR}}/etcd_server.py"],
      ...["etcd", "--name", "etcd", "--data-dir", "{{NODE_DIR}}/etcd"],
      ...[
        "--listen-client-urls",
        "http://{{NODE_IP}}:2379",
        "--advertise-client-urls",
        "http://{{NODE_IP}}:2379",
      ],
      ...[
        "--listen-peer-urls",
        "http://{{NODE_IP}}:2380",
        "--initial-advertise-peer-urls",
        "http://{{NODE_IP}}:2380",
      ],
      ...[
        "--initial-cluster",
        "etcd=http://{{NODE_IP}}:2380",
        "--auto-compaction-retention",
        "1",
        "--logger",
        "zap",
      ],
    ]);
    expect(programOf(dev, "nats")).toMatchObject({
      command: ["nats-server", "--config", "{{NODE_DIR}}/run/nats/nats.conf"],
      files: {
        "nats.conf":
          'listen: "{{NODE_IP}}:4222"; http: "{{NODE_IP}}:8222"; authorization { token: "{{SECRET.NATS_AUTH_TOKEN}}" }\n',
      },
      env: {},
    });
    for (const name of ["frontend-0", "prefill-0", "decode-0", "decode-1"]) {
      expect(programOf(dev, name).waitsFor).toEqual([
        { name: "etcd", probe: { kind: "http", url: "http://{{HEAD_IP}}:2379/health" }, timeoutSeconds: 120 },
        { name: "nats", probe: { kind: "tcp", host: "{{HEAD_IP}}", port: 4222 }, timeoutSeconds: 120 },
      ]);
      expect(programOf(dev, name).env).toMatchObject({
        ETCD_ENDPOINTS: "http://{{HEAD_IP}}:2379",
        ETCD_AUTH_USERNAME: "dynamo",
        ETCD_LEASE_TTL: "30",
        NATS_SERVER: "nats://{{HEAD_IP}}:4222",
      });
    }
  });

  it("is a directory that the local nodes share, without etcd and NATS", () => {
    const dev = planned(SHAPES.dev, NO_SERVICES);
    expect(programsOf(dev).some(({ role }) => role === "etcd" || role === "nats")).toBe(false);
    const { env } = programOf(dev, "decode-0");
    expect(env).toMatchObject({ DYN_DISCOVERY_BACKEND: "file", DYN_FILE_KV: "{{CLUSTER_DIR}}/discovery" });
    expect(env).not.toHaveProperty("ETCD_ENDPOINTS");
    expect(env).not.toHaveProperty("NATS_SERVER");
  });

  it("has NATS where requests go over it, whatever carries the events", () => {
    const withNats = planned({ ...SHAPES.dev, controlPlane: { requestPlane: "nats" } }, NO_SERVICES);
    expect(programOf(withNats, "nats").role).toBe("nats");
    expect(programOf(withNats, "decode-0").env["DYN_REQUEST_PLANE"]).toBe("nats");
    // A prompt of 400,000 tokens was refused with NATS's own limit: "Invalid request".
    expect(programOf(withNats, "nats").files?.["nats.conf"]).toContain("max_payload: 32MB");
    expect(programOf(planned(SHAPES.multi), "nats").files?.["nats.conf"]).not.toContain("max_payload");
  });

  it("reaches no further than its node for what only the node needs", () => {
    const multi = planned(SHAPES.multi);
    expect(programOf(multi, "etcd").command).toContain("http://127.0.0.1:2380");
    expect(programOf(multi, "nats").files?.["nats.conf"]).toContain('http: "127.0.0.1:8222"');
    expect(programOf(multi, "nats").health).toEqual({ kind: "http", url: "http://127.0.0.1:8222/healthz" });
  });

  it("asks everybody for a password, which stands in no plan", () => {
    const dev = planned(SHAPES.dev);
    expect(programOf(dev, "etcd").secretEnv).toEqual(["ETCD_AUTH_PASSWORD", "DYNAMO_SKY_ETCD_ROOT_PASSWORD"]);
    expect(secretsOfProgram(programOf(dev, "nats"))).toEqual(["NATS_AUTH_TOKEN"]);
    // The server itself reads it from a file, not from its environment.
    expect(programOf(dev, "nats").secretEnv).toEqual([]);
    for (const name of ["frontend-0", "prefill-0", "decode-0"])
      expect(programOf(dev, name).secretEnv).toEqual(["ETCD_AUTH_PASSWORD", "NATS_AUTH_TOKEN"]);
    const without = planned(SHAPES.dev, NO_SERVICES);
    expect(programsOf(without).flatMap(({ secretEnv }) => secretEnv)).toEqual([]);
  });
});

describe("facts", () => {
  const of = (input: Deployment, obtainable: boolean) => factsOf(parseConfig(input), () => obtainable);

  it("take etcd and NATS where they can be had, and always for SkyPilot's nodes", () => {
    expect(of(SHAPES.dev, true)).toEqual(SERVICES);
    expect(of(SHAPES.dev, false)).toEqual(NO_SERVICES);
    expect(of(SHAPES.single, false)).toEqual(SERVICES);
  });

  it("follow what the configuration says", () => {
    const asked = { ...SHAPES.dev, controlPlane: { discovery: "file", events: "nats" } } as const;
    expect(of(asked, true)).toEqual({ discovery: "file", events: "nats" });
  });
});

describe("placement dedicated", () => {
  it("gives control plane and frontends a cluster without GPUs, and every replica one of just its size", () => {
    const { clusters, endpoint } = planned(DEDICATED);
    expect(
      clusters.map(({ name, accelerator, nodes }) => [name, accelerator, nodes.map(({ gpus }) => gpus)]),
    ).toEqual([
      ["control", undefined, [0]],
      ["prefill-0", "L40S", [2]],
      ["prefill-1", "L40S", [2]],
      ["decode-0", "H100", [8, 8]],
    ]);
    expect(clusters[0]?.nodes[0]?.programs.map(({ name }) => name)).toEqual([
      ...["etcd", "nats", "gateway", "frontend-0", "frontend-1"],
    ]);
    expect(endpoint).toEqual({ cluster: "control", rank: 0, port: 8000 });
  });

  it("has workers find the control plane in its cluster, and each other in theirs", () => {
    const second = programOf(planned(DEDICATED), "decode-0-rank1");
    expect(second.env["ETCD_ENDPOINTS"]).toBe("http://{{CONTROL_IP}}:2379");
    expect(second.command.join(" ")).toContain("--dist-init-addr {{HEAD_IP}}:29500");
    expect(programOf(planned(DEDICATED), "frontend-0").env["ETCD_ENDPOINTS"]).toBe("http://{{HEAD_IP}}:2379");
  });
});

describe("frontends", () => {
  it("listen on the node alone when local, and for clients elsewhere", () => {
    expect(programOf(planned(SHAPES.dev), "frontend-0").command).toContain("{{NODE_IP}}");
    const open = { ...SHAPES.single, access: { gateway: false } };
    expect(programOf(planned(open), "frontend-0").command).toContain("0.0.0.0");
    expect(programOf(planned(SHAPES.single), "frontend-0").command).toContain("127.0.0.1");
  });

  it("take the workers' answers at loopback where all of the deployment is on one node", () => {
    const host = (shape: Deployment) =>
      programOf(planned(shape), "frontend-0").env["DYN_TCP_RESPONSE_STREAM_HOST"];
    expect([SHAPES.dev, SHAPES.single, SHAPES.multi].map(host)).toEqual(["lo", "lo", undefined]);
  });

  it("tell each other what they have sent when there are several, each on a port of its own", () => {
    const two = planned({ ...SHAPES.dev, frontend: { replicas: 2, port: 8100 } });
    expect(["frontend-0", "frontend-1"].map((name) => programOf(two, name).ports["http"])).toEqual([
      8100, 8101,
    ]);
    expect(programOf(two, "frontend-1").command).toContain("--router-replica-sync");
    expect(programOf(planned(SHAPES.dev), "frontend-0").command).not.toContain("--router-replica-sync");
  });

  it("never fix the port on which they are asked themselves", () => {
    expect(programOf(planned(SHAPES.single), "frontend-0").env).not.toHaveProperty("DYN_TCP_RPC_PORT");
  });

  it("are told the knobs that differ from Dynamo's defaults, switches by name", () => {
    const tuned = {
      ...SHAPES.dev,
      router: { temperature: 0.5, trackActiveBlocks: false, queuePolicy: "wspt", eventThreads: 4 },
    } as const;
    const { command } = programOf(planned(tuned), "frontend-0");
    expect(command.slice(command.indexOf("--router-mode"), command.indexOf("--migration-limit"))).toEqual([
      ...["--router-mode", "kv", "--router-temperature", "0.5"],
      ...["--no-router-track-active-blocks", "--router-queue-policy", "wspt"],
    ]);
  });

  it("take arguments and environment of their own last", () => {
    const own = {
      ...SHAPES.dev,
      frontend: { args: ["--tokenizer", "fastokens"], env: { DYN_LOG: "debug" } },
    };
    const { command, env } = programOf(planned(own), "frontend-0");
    expect(command.slice(-2)).toEqual(["--tokenizer", "fastokens"]);
    expect(env["DYN_LOG"]).toBe("debug");
  });

  it("get the hub's token as a secret and never as text", () => {
    const gated = planned({ ...SHAPES.single, huggingFaceToken: true });
    for (const name of ["frontend-0", "aggregated-0"])
      expect(programOf(gated, name).secretEnv).toContain("HF_TOKEN");
    expect(programOf(planned(SHAPES.single), "frontend-0").secretEnv).not.toContain("HF_TOKEN");
  });
});

describe("what a change touches", () => {
  const workersOf = (from: DeploymentPlan) =>
    programsOf(from).filter(({ role }) => role === "prefill" || role === "decode");

  it("the router's mode: no worker", () => {
    const other = planned({ ...SHAPES.dev, router: { mode: "round-robin" } });
    expect(workersOf(other)).toEqual(workersOf(planned(SHAPES.dev)));
    expect(programOf(other, "frontend-0")).not.toEqual(programOf(planned(SHAPES.dev), "frontend-0"));
  });

  it("the number of decode workers: no other program", () => {
    const more = planned({ ...SHAPES.dev, pools: [{ role: "prefill" }, { role: "decode", replicas: 3 }] });
    const before = programsOf(planned(SHAPES.dev));
    expect(programsOf(more).filter(({ name }) => name !== "decode-2")).toEqual(before);
  });
});

describe("ports", () => {
  it("begin where the configuration says, and skip what another range has taken", () => {
    const crowded = planned({ ...SHAPES.dev, ports: { workerSystem: 7000, workerRpc: 7001 } });
    const ports = ["prefill-0", "decode-0", "decode-1"].map((name) => programOf(crowded, name).ports);
    expect(ports).toEqual([
      { system: 7000, rpc: 7001 },
      { system: 7002, rpc: 7003 },
      { system: 7004, rpc: 7005 },
    ]);
  });

  it("that run out are told with the key to change, once", () => {
    expect(problemsOf({ ...SHAPES.throughput, ports: { workerSystem: 65_534 } })).toEqual([
      "ports.workerSystem: 65534 is too high: the programs of one node need ports beyond 65535. Choose a lower one.",
    ]);
  });

  it("have the key that moves them", () => {
    const keys = programsOf(planned(SHAPES.vllm)).flatMap(({ role, ports }) =>
      Object.keys(ports).map((purpose) => `${role} ${purpose}: ${portSetting(role, purpose)}`),
    );
    expect([...new Set(keys)]).toEqual([
      "etcd client: ports.etcdClient",
      "etcd peer: ports.etcdPeer",
      "nats client: ports.nats",
      "nats monitor: ports.natsMonitor",
      "gateway http: frontend.port",
      "frontend frontendHttp: ports.frontendHttp",
      "frontend response: ports.frontendResponse",
      "prefill system: ports.workerSystem",
      "prefill rpc: ports.workerRpc",
      "prefill sideChannel: ports.sideChannel",
      "prefill kvEvents: ports.kvEvents",
      "decode system: ports.workerSystem",
      "decode rpc: ports.workerRpc",
      "decode sideChannel: ports.sideChannel",
    ]);
  });
});

describe("what does not fit", () => {
  it("is told with everything else that is wrong", () => {
    expect(
      problemsOf({
        ...SHAPES.vllm,
        task: "embedding",
        router: {},
        cluster: { gpusPerNode: 4 },
        pools: [{ role: "aggregated", tensorParallel: 8 }],
      }),
    ).toEqual([
      "cluster.nodes: The pools take 8 GPUs (aggregated 1 × 8), and 1 node of 4 have 4. Set it to 2, or lower replicas or parallelism.",
      "pools.0.tensorParallel: a replica over 2 nodes is not possible with engine vllm and task embedding. Make it fit one node (tensorParallel × pipelineParallel).",
    ]);
  });

  it("are idle GPUs, unless they are allowed", () => {
    const wasteful = { ...SHAPES.single, pools: [{ role: "aggregated", replicas: 6 }] } as const;
    expect(problemsOf(wasteful)).toEqual([
      "cluster.allowIdleGpus: 2 of 8 GPUs would sit idle (node 0: 2). Set pools[0].replicas to 8, or set cluster.gpusPerNode to 6, or set this to true to accept it.",
    ]);
    const allowed = planned({ ...wasteful, cluster: { allowIdleGpus: true } });
    expect(allowed.clusters[0]?.nodes[0]?.idleGpus).toEqual([6, 7]);
  });
});
