/**
 * vLLM's `--kv-transfer-config`: NIXL or another connector between prefill and decode workers; vLLM's own
 * offload, LMCache or FlexKV for caching blocks; or both combined. Connectors:
 * https://github.com/vllm-project/vllm/blob/v0.31.0/vllm/distributed/kv_transfer/kv_connector/factory.py, and
 * those that Dynamo can transfer with: `KV_CONNECTOR_PROTOCOLS` in dynamo/vllm/kv_connector_protocols.py.
 */
import { BYTES_PER_GB } from "../../lib/units";
import { disaggregated, keepsPrefixes, type WorkerSpec } from "../engine";
import { connectorOf, type TransferRules } from "../transfer";

const NIXL = "NixlConnector";
const MOONCAKE = "MooncakeConnector";

const OFFLOADING = "OffloadingConnector";
/** Connectors that keep blocks, beside those that move them. */
const KEEPERS = ["LMCacheConnectorV1", "LMCacheMPConnector", "FlexKVConnectorV1", OFFLOADING] as const;

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
const POLICIES = ["recompute", "fail"];

export const VLLM_TRANSFER: TransferRules = {
  connectors: {
    [NIXL]: "transfer",
    [MOONCAKE]: "transfer",
    ...Object.fromEntries(KEEPERS.map((name) => [name, "cache" as const])),
  },
  refused: {
    DynamoConnector:
      "is KVBM, which wants memory and ports of its own for each worker, and the plan gives it none. Use kvOffload.hostMemoryGB, or another connector that keeps blocks.",
    MultiConnector: "is what the plan makes of two. Name the one that keeps blocks; NIXL moves them.",
    PdConnector: "is what Dynamo makes of two. Name the one that keeps blocks; NIXL moves them.",
  },
  extraProblems: wrongExtra,
  usual: NIXL,
  offloadIsConnector: true,
  byNixl: [NIXL],
  takesExtra: [NIXL, MOONCAKE, ...KEEPERS],
};

function wrongExtra(connector: string, extra: Readonly<Record<string, unknown>> = {}) {
  const { kv_load_failure_policy: policy, cpu_bytes_to_use: bytes } = extra;
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
    ...(connector === OFFLOADING && bytes === undefined
      ? [
          {
            message: `needs cpu_bytes_to_use with the connector ${OFFLOADING}. Set it, or use kvOffload.hostMemoryGB instead of the connector.`,
          },
        ]
      : []),
  ];
}

interface Connector {
  readonly kv_connector: string;
  readonly kv_role: string;
  readonly kv_connector_extra_config?: object;
  readonly [field: string]: unknown;
}

/** The flag, or nothing for a worker that neither transfers nor caches blocks. */
export function kvTransferFlags(worker: WorkerSpec): string[] {
  const connectors = [keeper(worker), mover(worker)].flatMap((one) => one ?? []);
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
function keeper(worker: WorkerSpec): Connector | undefined {
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
  return { kv_connector: connector, kv_role: "kv_both", ...extraConfig(extra) };
}

/** Connector that transfers blocks from prefill to decode workers. */
function mover(worker: WorkerSpec): Connector | undefined {
  if (!disaggregated(worker)) return undefined;
  const { kvTransfer } = worker.config;
  const connector = connectorOf(VLLM_TRANSFER, kvTransfer);
  const backends = kvTransfer.backend === undefined ? {} : { backends: [kvTransfer.backend] };
  const own =
    kvTransfer.connector === undefined || kvTransfer.connector === connector ? kvTransfer.extra : {};
  return {
    kv_connector: connector,
    kv_role: kvRole(worker, connector),
    ...extraConfig({ ...backends, ...own }),
  };
}

/** With NIXL all workers have the same role; with Mooncake prefill workers push. */
function kvRole({ pool }: WorkerSpec, connector: string): string {
  if (connector !== MOONCAKE) return "kv_both";
  return pool.role === "prefill" ? "kv_producer" : "kv_consumer";
}

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
