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

export const VLLM_TRANSFER: TransferRules = {
  connectors: {
    [NIXL]: "transfer",
    [MOONCAKE]: "transfer",
    LMCacheConnectorV1: "cache",
    FlexKVConnectorV1: "cache",
  },
  usual: NIXL,
  offloadIsConnector: true,
  byNixl: [NIXL],
  takesExtra: [NIXL, MOONCAKE, "LMCacheConnectorV1", "FlexKVConnectorV1"],
};

interface Connector {
  readonly kv_connector: string;
  readonly kv_role: string;
  readonly kv_connector_extra_config?: object;
}

/** The flag, or nothing for a worker that neither transfers nor caches blocks. */
export function kvTransferFlags(worker: WorkerSpec): string[] {
  const connectors = [keeper(worker), mover(worker)].flatMap((one) => one ?? []);
  const [only] = connectors;
  if (only === undefined) return [];
  return ["--kv-transfer-config", JSON.stringify(connectors.length === 1 ? only : paired(connectors))];
}

function paired(connectors: readonly Connector[]): Connector {
  return { kv_connector: "MultiConnector", kv_role: "kv_both", kv_connector_extra_config: { connectors } };
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

function extraConfig(extra: object | undefined): Pick<Connector, "kv_connector_extra_config"> {
  if (extra === undefined || Object.keys(extra).length === 0) return {};
  return { kv_connector_extra_config: extra };
}

/** Where the other side requests KV blocks: the port is the first of a block, each group adds its index. */
export function sideChannelEnv(worker: WorkerSpec): Record<string, string> {
  if (!disaggregated(worker)) return {};
  const port = String(worker.ports.sideChannel);
  if (connectorOf(VLLM_TRANSFER, worker.config.kvTransfer) === MOONCAKE)
    return worker.pool.role === "prefill" ? { VLLM_MOONCAKE_BOOTSTRAP_PORT: port } : {};
  return { VLLM_NIXL_SIDE_CHANNEL_HOST: worker.address, VLLM_NIXL_SIDE_CHANNEL_PORT: port };
}
