/**
 * Environment variables and flags set by the plan: another value would bypass the gateway, or leave the
 * cluster. The only list of them.
 */

/** The setting to use instead; undefined if it is derived from others. */
type Instead = string | undefined;

/** Names: https://github.com/ai-dynamo/dynamo/blob/v1.6.1/lib/runtime/src/config/environment_names.rs */
const NAMES: Readonly<Record<string, Instead>> = {
  // Addresses and ports of a frontend.
  DYN_HTTP_HOST: undefined,
  DYN_HTTP_PORT: "frontend.port",
  DYN_TLS_CERT_PATH: undefined,
  DYN_TLS_KEY_PATH: undefined,
  DYN_TLS_CLIENT_CA_CERT_PATH: undefined,
  DYN_KSERVE_GRPC_SERVER: undefined,
  DYN_GRPC_METRICS_PORT: undefined,
  DYN_INTERACTIVE: undefined,
  // Address of a worker.
  DYN_SYSTEM_HOST: undefined,
  DYN_SYSTEM_PORT: "ports.workerSystem",
  DYN_SYSTEM_ENABLED: undefined,
  DYN_TCP_RPC_HOST: undefined,
  DYN_TCP_RPC_PORT: "ports.workerRpc",
  DYN_TCP_RESPONSE_STREAM_HOST: undefined,
  DYN_TCP_RESPONSE_STREAM_PORT: "ports.frontendResponse",
  VLLM_NIXL_SIDE_CHANNEL_HOST: undefined,
  VLLM_NIXL_SIDE_CHANNEL_PORT: "ports.sideChannel",
  // Service discovery.
  DYN_NAMESPACE: undefined,
  DYN_NAMESPACE_PREFIX: undefined,
  DYN_NAMESPACE_WORKER_SUFFIX: undefined,
  DYN_DISCOVERY_BACKEND: "controlPlane.discovery",
  DYN_EVENT_PLANE: "controlPlane.events",
  DYN_REQUEST_PLANE: "controlPlane.requestPlane",
  DYN_RESPONSE_PLANE: undefined,
  DYN_ENDPOINT: undefined,
  DYN_KV_STATE_ENDPOINT: undefined,
  DYN_FILE_KV: undefined,
  DYN_ZMQ_BROKER_URL: undefined,
  DYN_EVENT_PLANE_HOST: undefined,
  ETCD_LEASE_TTL: "controlPlane.leaseTtlSeconds",
  // How a worker that hangs is found.
  DYN_HEALTH_CHECK_ENABLED: "health.canary",
  DYN_HEALTH_CHECK_REQUEST_TIMEOUT: "health.canarySeconds",
  // Values that all workers and the router must share.
  DYN_ROUTER_MODE: "router.mode",
  DYN_KV_CACHE_BLOCK_SIZE: "router.blockSize",
  DYN_REASONING_PARSER: "reasoningParser",
  DYN_TOOL_CALL_PARSER: "toolCallParser",
  DYN_CONNECTOR: "kvTransfer",
  DYN_VLLM_DISAGGREGATION_MODE: "pools[].role",
  DYN_VLLM_HEADLESS: undefined,
  DYN_VLLM_ROUTE_TO_ENCODER: "pools[].role",
  DYN_SGL_DEDICATED_MM_ENCODER: "pools[].role",
  DYN_TRTLLM_ENCODE_ENDPOINT: "pools[].role",
  DYN_SGL_DISAGG_CONFIG: "engineArgs",
  DYN_SGL_DISAGG_CONFIG_KEY: "engineArgs",
  DYN_TRTLLM_MODEL: "model",
  DYN_TRTLLM_SERVED_MODEL_NAME: "servedModelName",
  DYN_TRTLLM_TENSOR_PARALLEL_SIZE: "pools[].tensorParallel",
  DYN_TRTLLM_PIPELINE_PARALLEL_SIZE: "pools[].pipelineParallel",
  DYN_TRTLLM_EXPERT_PARALLEL_SIZE: "pools[].expertParallel",
  DYN_TRTLLM_ENABLE_ATTENTION_DP: "pools[].dataParallel",
  DYN_TRTLLM_GPUS_PER_NODE: "cluster.gpusPerNode",
  DYN_TRTLLM_KV_BLOCK_SIZE: "router.blockSize",
  DYN_TRTLLM_PUBLISH_KV_EVENTS: "router.kvEvents",
  DYN_TRTLLM_PUBLISH_EVENTS_AND_METRICS: "router.kvEvents",
  DYN_TRTLLM_DISAGGREGATION_MODE: "pools[].role",
  DYN_TRTLLM_OVERRIDE_ENGINE_ARGS: "engineConfig",
  // GPU assignment.
  CUDA_VISIBLE_DEVICES: undefined,
  // Start and address of an MPI world: `plan/engines/mpi.ts`.
  OMPI_MCA_plm: undefined,
  OMPI_MCA_oob_tcp_dynamic_ipv4_ports: "ports.mpi",
  OMPI_MCA_oob_tcp_dynamic_ipv6_ports: "ports.mpi",
  OMPI_MCA_orte_leave_session_attached: undefined,
  // The node's own variables: `runtime/node.py`.
  HEAD_IP: undefined,
  CONTROL_IP: undefined,
  NODE_IP: undefined,
  NODE_DIR: undefined,
  CLUSTER_DIR: undefined,
};

/**
 * etcd reads all its flags from `ETCD_…`; Dynamo locates etcd and NATS by these prefixes. The others belong
 * to this program and SkyPilot.
 */
const BEGINNINGS: Readonly<Record<string, Instead>> = {
  ETCD_: "controlPlane",
  NATS_: "controlPlane",
  DYN_TCP_TLS_: "controlPlane.tls",
  // Another prefix of the fields of `DYN_SYSTEM_…`, which Dynamo reads too.
  DYN_RUNTIME_SYSTEM_: undefined,
  DYNAMO_SKY_: undefined,
  RANK_IP_: undefined,
  OMPI_MCA_plm_rsh_: undefined,
  OMPI_MCA_btl_tcp_port_: "ports.mpi",
  SKYPILOT_DOCKER_: "sky.registry and the secret registryPassword",
  SKYPILOT_: undefined,
};

/** Whether the plan sets a variable, and which setting to use instead. */
export function reservedVariable(name: string): { readonly instead: Instead } | undefined {
  if (Object.hasOwn(NAMES, name)) return { instead: NAMES[name] };
  const beginning = Object.keys(BEGINNINGS).find((start) => name.startsWith(start));
  return beginning === undefined ? undefined : { instead: BEGINNINGS[beginning] };
}

/**
 * Flags of all Dynamo processes that would break or change how they find each other:
 * https://github.com/ai-dynamo/dynamo/blob/v1.6.1/components/src/dynamo/common/configuration/groups/runtime_args.py
 */
export const RUNTIME_FLAGS = {
  "--namespace": undefined,
  "--endpoint": undefined,
  "--kv-state-endpoint": undefined,
  "--discovery-backend": "controlPlane.discovery",
  "--event-plane": "controlPlane.events",
  "--request-plane": "controlPlane.requestPlane",
  "--response-plane": undefined,
} as const satisfies Readonly<Record<string, Instead>>;

/** Those of a real engine's worker, besides. */
export const WORKER_FLAGS = {
  ...RUNTIME_FLAGS,
  "--dyn-reasoning-parser": "reasoningParser",
  "--dyn-tool-call-parser": "toolCallParser",
} as const satisfies Readonly<Record<string, Instead>>;

/** Arguments of `python -m dynamo.frontend` for its addresses, or for values that must match its workers. */
const FRONTEND_FLAGS: Readonly<Record<string, Instead>> = {
  ...RUNTIME_FLAGS,
  "--http-host": undefined,
  "--http-port": "frontend.port",
  "--tls-cert-path": undefined,
  "--tls-key-path": undefined,
  "--tls-client-ca-cert-path": undefined,
  "--kserve-grpc-server": undefined,
  "--grpc-metrics-port": undefined,
  "--interactive": undefined,
  "-i": undefined,
  "--namespace-prefix": undefined,
  "--router-mode": "router.mode",
  "--router-kv-events": "router.kvEvents",
  "--kv-cache-block-size": "router.blockSize",
  "--migration-limit": "frontend.migrationLimit",
};

/**
 * The frontend flag of an argument, and which setting to use instead; undefined if the plan does not set it.
 */
export function reservedFrontendFlag(argument: string) {
  return reservedFlag(FRONTEND_FLAGS, argument);
}

/** A reserved flag, and which setting to use instead. */
export interface Reserved {
  readonly flag: string;
  readonly instead: Instead;
}

/** The reserved flag of an argument, in any notation; undefined for all others. */
export function reservedFlag(
  reserved: Readonly<Record<string, Instead>>,
  argument: string,
): Reserved | undefined {
  if (!/^-[^-]|^--./.test(argument)) return undefined;
  const flags = Object.keys(reserved);
  const exact = (written: string) => flags.find((flag) => spelling(flag) === written);
  const forms = formsOf(argument);
  const flag =
    forms.map(exact).find((found) => found !== undefined) ??
    flags.find((one) => forms.some((written) => standsFor(written, spelling(one))));
  return flag === undefined ? undefined : { flag, instead: reserved[flag] };
}

/** vLLM's parser accepts `_` for `-`, and keys of TensorRT-LLM use it. */
export const spelling = (name: string): string => name.replaceAll("_", "-");

/**
 * Names that an argument may have: without its value (`--flag=value`), as a negated switch (`--no-flag`), and
 * without a key inside a JSON value (vLLM's `--flag.key`: `FlexibleArgumentParser`).
 */
function formsOf(argument: string): string[] {
  const written = spelling(argument.replace(/=.*/s, ""));
  const whole = written.startsWith(spelling(TRTLLM_KEY)) ? written : written.replace(/\..*/s, "");
  return whole.startsWith("--no-") ? [whole, whole.replace(/^--no-/, "--")] : [whole];
}

/** Prefix of `dynamo.trtllm` for a key of the engine's configuration: `--trtllm.<group>.<key>`. */
export const TRTLLM_KEY = "--trtllm.";

/**
 * Python's argument parsers accept any unambiguous prefix of a flag (`--http-h`, `-t` for `-tp`), and a value
 * right after a single letter (`-n2`): https://docs.python.org/3/library/argparse.html#allow-abbrev. No flag
 * left to the user is a prefix of a reserved one. A group of keys includes all its keys.
 */
function standsFor(written: string, flag: string): boolean {
  if (/^-[^-]$/.test(flag)) return written.startsWith(flag);
  return flag.startsWith(written) || (flag.startsWith(TRTLLM_KEY) && written.startsWith(`${flag}.`));
}
