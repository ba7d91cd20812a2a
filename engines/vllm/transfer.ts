/**
 * vLLM's `--kv-transfer-config`: NIXL or another connector between prefill and decode workers; one that keeps
 * blocks, as vLLM's own offload, LMCache, FlexKV and Mooncake's store do; or both combined. Connectors:
 * https://github.com/vllm-project/vllm/blob/v0.31.0/vllm/distributed/kv_transfer/kv_connector/factory.py, and
 * those that Dynamo can transfer with: `KV_CONNECTOR_PROTOCOLS` in dynamo/vllm/kv_connector_protocols.py.
 */
import type { DeploymentConfig } from "../../config/deployment";
import { BYTES_PER_GB } from "../../lib/units";
import { disaggregated, keepsPrefixes, type WorkerSpec } from "../engine";
import { connectorOf, KVBM, type TransferRules } from "../transfer";

const NIXL = "NixlConnector";
const MOONCAKE = "MooncakeConnector";

const SIMPLE = "SimpleCPUOffloadConnector";

/** Connectors that keep blocks, beside those that move them, each with the settings that it must have. */
const KEEPERS: Readonly<Record<string, readonly string[]>> = {
  LMCacheConnectorV1: [],
  LMCacheMPConnector: [],
  FlexKVConnectorV1: [],
  OffloadingConnector: ["cpu_bytes_to_use"],
  [SIMPLE]: [],
  MooncakeStoreConnector: [],
  HiSparseConnector: ["host_pool_gib"],
};

/**
 * Fields of the configuration itself, which a connector would not look for in its own settings: those of the
 * user, and those of the plan.
 * https://github.com/vllm-project/vllm/blob/v0.31.0/vllm/config/kv_transfer.py
 */
const OWN_FIELDS = [
  "kv_load_failure_policy",
  "kv_buffer_size",
  "kv_buffer_device",
  "enable_permute_local_kv",
] as const;
const PLANNED_FIELDS = [
  ...["kv_connector", "kv_role", "engine_id", "kv_rank", "kv_parallel_size", "kv_ip", "kv_port"],
  ...["kv_connector_module_path", "kv_connector_extra_config"],
];
/** Sizes, of the configuration itself and of vLLM's own connectors. */
const SIZES = [
  ...["kv_buffer_size", "cpu_bytes_to_use", "cpu_bytes_to_use_per_rank", "disk_capacity_bytes"],
  "host_pool_gib",
];
const isSize = (value: unknown) => typeof value === "number" && value > 0;
const POLICIES = ["recompute", "fail"];

const ANOTHER = "Use kvOffload.hostMemoryGB, or another connector that keeps blocks.";
/** Of those that move blocks Dynamo knows two: what it tells a decode worker differs by connector. */
const UNKNOWN_TO_DYNAMO = `cannot be used with Dynamo, which hands over by ${NIXL} and ${MOONCAKE} alone. Use one of them.`;
const NO_LONGER = "is not in vLLM any more.";

/** Those of vLLM and Dynamo that are not offered; the first two are of vLLM before. */
const REFUSED: Readonly<Record<string, string>> = {
  P2pNcclConnector: `${NO_LONGER} Use ${NIXL}.`,
  SharedStorageConnector: `${NO_LONGER} ${ANOTHER}`,
  DynamoConnector: `is ${KVBM}. ${ANOTHER}`,
  MultiConnector: `is what the plan makes of two. Name the one that keeps blocks; ${NIXL} moves them.`,
  PdConnector: `comes with ${KVBM}. Name the connector that keeps blocks; ${NIXL} moves them.`,
  NixlPullConnector: `is what vLLM calls ${NIXL} too, and Dynamo knows that name alone. Use ${NIXL}.`,
  NixlPushConnector: UNKNOWN_TO_DYNAMO,
  MoRIIOConnector: UNKNOWN_TO_DYNAMO,
  NeuronNixlConnector: `is for AWS's Neuron devices, and the plan gives each worker GPUs of NVIDIA's. Use ${NIXL}.`,
  // Each client of its metadata server is made without the address in its settings, and each replica's file
  // is named by its rank alone:
  // https://github.com/vllm-project/vllm/blob/v0.31.0/vllm/distributed/kv_transfer/kv_connector/v1/hf3fs/hf3fs_connector.py
  HF3FSKVConnector: `asks a metadata server on each node itself, whatever its settings say, and has all replicas write into the same files. ${ANOTHER}`,
  DecodeBenchConnector: "makes up the blocks, to measure decoding: the answers mean nothing. Remove it.",
  ExampleConnector: `is vLLM's example for those who write one. ${ANOTHER}`,
  ExampleHiddenStatesConnector: "is vLLM's example for those who write one, and keeps no blocks. Remove it.",
};

export const VLLM_TRANSFER: TransferRules = {
  connectors: {
    [NIXL]: "transfer",
    [MOONCAKE]: "transfer",
    ...Object.fromEntries(Object.keys(KEEPERS).map((name) => [name, "cache" as const])),
  },
  refused: REFUSED,
  unfit,
  extraProblems: wrongExtra,
  usual: NIXL,
  offloadIsConnector: true,
  byNixl: [NIXL],
  takesExtra: [NIXL, MOONCAKE, ...Object.keys(KEEPERS)],
};

/** The path of Mooncake's own configuration, without which its store does not start. */
const STORE_VARIABLE = "MOONCAKE_CONFIG_PATH";

/** What a known connector lacks in this deployment, or does not go with. */
function unfit(config: DeploymentConfig): string | undefined {
  const { connector } = config.kvTransfer;
  if (connector === "MooncakeStoreConnector") {
    const all = { ...config.sky.envs, ...config.engineEnv };
    const keepers = config.pools.filter((pool) => keepsPrefixes({ pool }));
    if (keepers.every(({ engineEnv }) => STORE_VARIABLE in { ...all, ...engineEnv })) return undefined;
    return `needs the variable ${STORE_VARIABLE}, the path of Mooncake's configuration on the nodes. Set it in engineEnv; files brings the file, as {{FILES}}/NAME.`;
  }
  if (connector !== "HiSparseConnector") return undefined;
  // https://github.com/vllm-project/vllm/blob/v0.31.0/vllm/config/vllm.py
  if (config.pools.some(({ pipelineParallel }) => pipelineParallel > 1))
    return "does not go with pipelineParallel. Set that to 1, or use another connector that keeps blocks.";
  if (config.pools.some((pool) => disaggregated({ pool })))
    return "lays blocks out in its own way, which workers without it do not have: it goes with the role aggregated alone. Use such pools, or another connector that keeps blocks.";
  return undefined;
}

function wrongExtra(connector: string, extra: Readonly<Record<string, unknown>> = {}) {
  const { kv_load_failure_policy: policy } = extra;
  const planned = Object.keys(extra).filter((key) => PLANNED_FIELDS.includes(key));
  return [
    ...planned.map((key) => ({
      key,
      message:
        key === "kv_connector_extra_config"
          ? "is what kvTransfer.extra itself becomes. Write its keys here."
          : "is set by the plan. Remove it; it follows from kvTransfer.connector and pools.",
    })),
    ...(policy === undefined || POLICIES.includes(String(policy))
      ? []
      : [
          {
            key: "kv_load_failure_policy",
            message: `${JSON.stringify(policy)} is no policy of vLLM's. Allowed: ${POLICIES.join(", ")}.`,
          },
        ]),
    ...diskProblems(connector, extra),
    ...SIZES.filter((key) => extra[key] !== undefined && !isSize(extra[key])).map((key) => ({
      key,
      message: `${JSON.stringify(extra[key])} is no size. Allowed: a number above 0, of ${key === "host_pool_gib" ? "GiB" : "bytes"}, without quotes.`,
    })),
    ...(KEEPERS[connector] ?? [])
      .filter((key) => extra[key] === undefined)
      .map((key) => ({ message: `needs ${key} with the connector ${connector}. ${remedyFor(connector)}` })),
  ];
}

/** https://github.com/vllm-project/vllm/blob/v0.31.0/vllm/distributed/kv_transfer/kv_connector/v1/simple_cpu_offload_connector.py */
function diskProblems(connector: string, extra: Readonly<Record<string, unknown>>) {
  const { kv_offload_backend: backend = "cpu", disk_path: path } = extra;
  if (connector !== SIMPLE) return [];
  if (backend !== "cpu" && backend !== "disk")
    return [
      {
        key: "kv_offload_backend",
        message: `${JSON.stringify(backend)} is no place for blocks. Allowed: cpu, disk.`,
      },
    ];
  return backend === "disk" && !path
    ? [{ message: "needs disk_path with kv_offload_backend disk: a directory of the nodes. Set it." }]
    : [];
}

function remedyFor(connector: string): string {
  return connector === "OffloadingConnector"
    ? "Set it, or use kvOffload.hostMemoryGB instead of the connector."
    : "Set it.";
}

interface Connector {
  readonly kv_connector: string;
  readonly kv_role: string;
  readonly kv_connector_extra_config?: object;
  readonly [field: string]: unknown;
}

/** The flag, or nothing for a worker that neither transfers nor caches blocks. */
export function kvTransferFlags(worker: WorkerSpec): string[] {
  const connectors = [offloadConnector(worker), transferConnector(worker)].flatMap((one) => one ?? []);
  const [only] = connectors;
  if (only === undefined) return [];
  return ["--kv-transfer-config", JSON.stringify(connectors.length === 1 ? only : paired(connectors))];
}

function paired(connectors: readonly Connector[]): Connector {
  // vLLM's scheduler reads the fields of the whole, and a connector those of its own.
  const own = Object.fromEntries(connectors.flatMap((one) => Object.entries(pick(one, OWN_FIELDS))));
  return {
    kv_connector: "MultiConnector",
    kv_role: "kv_both",
    ...own,
    kv_connector_extra_config: { connectors },
  };
}

/** Connector that caches blocks evicted from the GPU. Decode workers cache no prefixes. */
function offloadConnector(worker: WorkerSpec): Connector | undefined {
  const { config, pool } = worker;
  if (!keepsPrefixes(worker)) return undefined;
  const { hostMemoryGB } = config.kvOffload;
  if (hostMemoryGB !== undefined) {
    const bytes = Math.round(hostMemoryGB * BYTES_PER_GB) * pool.tensorParallel * pool.pipelineParallel;
    return {
      kv_connector: "OffloadingConnector",
      kv_role: "kv_both",
      kv_connector_extra_config: { cpu_bytes_to_use: bytes },
    };
  }
  const { connector, extra } = config.kvTransfer;
  if (connector === undefined || VLLM_TRANSFER.connectors[connector] !== "cache") return undefined;
  return {
    kv_connector: connector,
    kv_role: "kv_both",
    ...extraConfig({ ...ownSettings(worker), ...extra }),
  };
}

/**
 * A keeper's settings that the plan gives: scheduler and workers of Mooncake's store meet at a socket in
 * `/tmp` named by this number, which has to be another one for each replica of a node.
 */
function ownSettings({ config, leaderPorts }: WorkerSpec): Readonly<Record<string, unknown>> {
  return config.kvTransfer.connector === "MooncakeStoreConnector"
    ? { lookup_rpc_port: leaderPorts.system }
    : {};
}

/** Connector that transfers blocks from prefill to decode workers. */
function transferConnector(worker: WorkerSpec): Connector | undefined {
  if (!disaggregated(worker)) return undefined;
  const { kvTransfer } = worker.config;
  const connector = connectorOf(VLLM_TRANSFER, kvTransfer);
  const backends = kvTransfer.backend === undefined ? {} : { backends: [kvTransfer.backend] };
  const own =
    kvTransfer.connector === undefined || kvTransfer.connector === connector ? kvTransfer.extra : {};
  return {
    kv_connector: connector,
    kv_role: kvRole(worker),
    ...extraConfig({ ...backends, ...own }),
  };
}

/**
 * Each worker has one direction; both at once is deprecated:
 * https://github.com/vllm-project/vllm/blob/v0.31.0/vllm/distributed/kv_transfer/kv_connector/v1/nixl/connector.py
 */
const kvRole = ({ pool }: WorkerSpec): string => (pool.role === "prefill" ? "kv_producer" : "kv_consumer");

function pick(from: Readonly<Record<string, unknown>>, keys: readonly string[]) {
  return Object.fromEntries(Object.entries(from).filter(([key]) => keys.includes(key)));
}

/** `kvTransfer.extra`: fields of vLLM's own configuration, and the connector's settings. */
function extraConfig(extra: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const settings = Object.fromEntries(
    Object.entries(extra).filter(([key]) => !OWN_FIELDS.some((own) => own === key)),
  );
  return {
    ...pick(extra, OWN_FIELDS),
    ...(Object.keys(settings).length === 0 ? {} : { kv_connector_extra_config: settings }),
  };
}

/** Where the other side requests KV blocks: the port is the first of a block, each group adds its index. */
export function sideChannelEnv(worker: WorkerSpec): Record<string, string> {
  if (!disaggregated(worker)) return {};
  const port = String(worker.ports.sideChannel);
  if (connectorOf(VLLM_TRANSFER, worker.config.kvTransfer) === MOONCAKE)
    return worker.pool.role === "prefill" ? { VLLM_MOONCAKE_BOOTSTRAP_PORT: port } : {};
  return { VLLM_NIXL_SIDE_CHANNEL_HOST: worker.address, VLLM_NIXL_SIDE_CHANNEL_PORT: port };
}
