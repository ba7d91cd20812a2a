/**
 * `kvTransfer.connector` with vLLM: each connector of its release is given to workers, or refused with why.
 */
import { describe, expect, it } from "vitest";
import { VLLM_TRANSFER } from "../../engines/vllm/transfer";
import type { ProgramPlan } from "../../plan/types";
import { type Deployment, flagOf, plannedProgram, problemsOf, SHAPES } from "./planShapes";

const jsonOf = (one: ProgramPlan): unknown => JSON.parse(flagOf(one, "--kv-transfer-config") ?? "");

const with_ = (kvTransfer: Deployment["kvTransfer"], more: Partial<Deployment> = {}): Deployment => ({
  ...SHAPES.disagg,
  engine: "vllm",
  kvTransfer,
  ...more,
});

const AGGREGATED = {
  pools: [{ role: "aggregated", tensorParallel: 4, replicas: 2 }],
} satisfies Partial<Deployment>;

/** https://github.com/vllm-project/vllm/blob/v0.31.0/vllm/distributed/kv_transfer/kv_connector/factory.py */
const REGISTERED = [
  ...["DecodeBenchConnector", "ExampleConnector", "ExampleHiddenStatesConnector", "FlexKVConnectorV1"],
  ...["HF3FSKVConnector", "HiSparseConnector", "LMCacheConnectorV1", "LMCacheMPConnector", "MoRIIOConnector"],
  ...["MooncakeConnector", "MooncakeStoreConnector", "MultiConnector", "NixlConnector", "NixlPullConnector"],
  ...["NixlPushConnector", "OffloadingConnector", "SimpleCPUOffloadConnector"],
];

describe("vLLM's connectors", () => {
  it.each(REGISTERED)("%s is offered, or refused with a reason of its own", (connector) => {
    const isOffered = Object.hasOwn(VLLM_TRANSFER.connectors, connector);
    const why = VLLM_TRANSFER.refused?.[connector];
    expect(isOffered).toBe(why === undefined);
    if (why === undefined) return;
    expect(problemsOf(with_({ connector }))).toEqual([`kvTransfer.connector: "${connector}" ${why}`]);
    expect(why).toMatch(/(Use|Remove|Name) .*\.$/);
  });

  it("and no other is offered", () => {
    expect(REGISTERED).toEqual(expect.arrayContaining(Object.keys(VLLM_TRANSFER.connectors)));
  });

  it("of KVBM are refused because Dynamo has deprecated it, with each engine", () => {
    for (const connector of ["DynamoConnector", "PdConnector"])
      expect(problemsOf(with_({ connector })).join()).toContain("KVBM, which Dynamo has deprecated");
    const trtllm = { ...SHAPES.disagg, engine: "trtllm" } as const;
    expect(problemsOf({ ...trtllm, engineArgs: ["--connector", "kvbm"] })).toEqual([
      "engineArgs.0: --connector is for KVBM, which Dynamo has deprecated and is about to remove. Use kvOffload.hostMemoryGB.",
    ]);
    for (const group of [{ connector: "kvbm" }, { connector_module: "kvbm.trtllm_integration.connector" }])
      expect(problemsOf({ ...trtllm, engineConfig: { kv_connector_config: group } })).toEqual([
        "engineConfig.kv_connector_config: names KVBM, which Dynamo has deprecated and is about to remove. Use kvOffload.hostMemoryGB, or the connector lmcache or lmcache-mp.",
      ]);
  });

  it("move blocks from a producer to a consumer: both at once is deprecated", () => {
    const roles = (connector: string) =>
      ["prefill-0", "decode-0"].map((name) => jsonOf(plannedProgram(with_({ connector }), name)));
    for (const connector of ["NixlConnector", "MooncakeConnector"])
      expect(roles(connector)).toEqual([
        { kv_connector: connector, kv_role: "kv_producer" },
        { kv_connector: connector, kv_role: "kv_consumer" },
      ]);
  });
});

describe("MooncakeStoreConnector", () => {
  const kvTransfer = { connector: "MooncakeStoreConnector" };
  const engineEnv = { MOONCAKE_CONFIG_PATH: "{{FILES}}/store" };
  const files = { store: "mooncake.json" };

  it("needs the path of its configuration, of all workers or of those that keep blocks", () => {
    const message =
      'kvTransfer.connector: "MooncakeStoreConnector" needs the variable MOONCAKE_CONFIG_PATH, the path of Mooncake\'s configuration on the nodes. Set it in engineEnv; files brings the file, as {{FILES}}/NAME.';
    const [prefill, decode] = SHAPES.disagg.pools;
    expect(problemsOf(with_(kvTransfer))).toEqual([message]);
    expect(problemsOf(with_(kvTransfer, { pools: [prefill, { ...decode, engineEnv }], files }))).toEqual([
      message,
    ]);
    expect(problemsOf(with_(kvTransfer, { pools: [{ ...prefill, engineEnv }, decode], files }))).toEqual([]);
    expect(problemsOf(with_(kvTransfer, { engineEnv, files }))).toEqual([]);
  });

  it("has a socket of its own for each replica of a node", () => {
    const input = with_(kvTransfer, { ...AGGREGATED, engineEnv, files });
    const workers = ["aggregated-0", "aggregated-1"].map((name) => plannedProgram(input, name));
    const sockets = workers.map(({ ports }) => ports["system"]);
    expect(new Set(sockets).size).toBe(2);
    expect(workers.map(jsonOf)).toEqual(
      sockets.map((port) => ({
        kv_connector: "MooncakeStoreConnector",
        kv_role: "kv_both",
        kv_connector_extra_config: { lookup_rpc_port: port },
      })),
    );
    const own = with_({ ...kvTransfer, extra: { lookup_rpc_port: 7 } }, { ...AGGREGATED, engineEnv, files });
    expect(jsonOf(plannedProgram(own, "aggregated-1"))).toMatchObject({
      kv_connector_extra_config: { lookup_rpc_port: 7 },
    });
  });
});

describe("HiSparseConnector", () => {
  const kvTransfer = { connector: "HiSparseConnector", extra: { host_pool_gib: 200 } };

  it("keeps blocks of aggregated workers, in host memory of the size that is given", () => {
    expect(jsonOf(plannedProgram(with_(kvTransfer, AGGREGATED), "aggregated-0"))).toEqual({
      kv_connector: "HiSparseConnector",
      kv_role: "kv_both",
      kv_connector_extra_config: { host_pool_gib: 200 },
    });
  });

  it.each([
    [
      "without a size",
      with_({ connector: "HiSparseConnector" }, AGGREGATED),
      "extra: needs host_pool_gib with",
    ],
    ["between prefill and decode workers", with_(kvTransfer), "it goes with the role aggregated alone"],
    [
      "with stages",
      with_(kvTransfer, { pools: [{ role: "aggregated", tensorParallel: 4, pipelineParallel: 2 }] }),
      "does not go with pipelineParallel",
    ],
  ])("is refused %s", (_, input, message) => {
    expect(problemsOf(input)).toEqual([expect.stringContaining(message)]);
  });
});

it("SimpleCPUOffloadConnector needs a directory for a disk", () => {
  const problems = (extra: Readonly<Record<string, string>>) =>
    problemsOf(with_({ connector: "SimpleCPUOffloadConnector", extra }));
  expect(problems({ kv_offload_backend: "disk", disk_path: "/mnt/nvme" })).toEqual([]);
  expect(problems({ kv_offload_backend: "disk" })).toEqual([
    "kvTransfer.extra: needs disk_path with kv_offload_backend disk: a directory of the nodes. Set it.",
  ]);
  expect(problems({ kv_offload_backend: "ssd" })).toEqual([
    'kvTransfer.extra.kv_offload_backend: "ssd" is no place for blocks. Allowed: cpu, disk.',
  ]);
});

it.each([
  ["OffloadingConnector", "cpu_bytes_to_use", "10GB", "bytes"],
  ["OffloadingConnector", "cpu_bytes_to_use", 0, "bytes"],
  ["SimpleCPUOffloadConnector", "cpu_bytes_to_use_per_rank", -1, "bytes"],
  ["HiSparseConnector", "host_pool_gib", 0, "GiB"],
  ["NixlConnector", "kv_buffer_size", "1e9", "bytes"],
] as const)("%s takes no size for %s that is none: %j", (connector, key, value, unit) => {
  const more = connector === "HiSparseConnector" ? AGGREGATED : {};
  expect(problemsOf(with_({ connector, extra: { [key]: value } }, more))).toEqual([
    `kvTransfer.extra.${key}: ${JSON.stringify(value)} is no size. Allowed: a number above 0, of ${unit}, without quotes.`,
  ]);
});
