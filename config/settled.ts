/** Environment variables that the plan settles: another value would lead around the gateway, or out of the cluster. One home for them. */

/** The setting to use instead; undefined where it follows from others. */
type Instead = string | undefined;

/** Names: https://github.com/ai-dynamo/dynamo/blob/v1.4.2/lib/runtime/src/config/environment_names.rs */
const NAMES: Readonly<Record<string, Instead>> = {
  // Where a frontend listens, and what else it would listen on.
  DYN_HTTP_HOST: undefined,
  DYN_HTTP_PORT: "frontend.port",
  DYN_TLS_CERT_PATH: undefined,
  DYN_TLS_KEY_PATH: undefined,
  DYN_KSERVE_GRPC_SERVER: undefined,
  DYN_GRPC_METRICS_PORT: undefined,
  DYN_INTERACTIVE: undefined,
  // Where a worker listens.
  DYN_SYSTEM_HOST: undefined,
  DYN_SYSTEM_PORT: "ports.workerSystem",
  DYN_SYSTEM_ENABLED: undefined,
  DYN_TCP_RPC_HOST: undefined,
  DYN_TCP_RPC_PORT: "ports.workerRpc",
  DYN_TCP_RESPONSE_STREAM_HOST: undefined,
  DYN_TCP_RESPONSE_STREAM_PORT: "ports.frontendResponse",
  VLLM_NIXL_SIDE_CHANNEL_HOST: undefined,
  VLLM_NIXL_SIDE_CHANNEL_PORT: "ports.sideChannel",
  // Which processes find each other, and where.
  DYN_NAMESPACE: undefined,
  DYN_NAMESPACE_PREFIX: undefined,
  DYN_NAMESPACE_WORKER_SUFFIX: undefined,
  DYN_DISCOVERY_BACKEND: "controlPlane.discovery",
  DYN_EVENT_PLANE: "controlPlane.events",
  DYN_REQUEST_PLANE: "controlPlane.requestPlane",
  DYN_FILE_KV: undefined,
  DYN_ZMQ_BROKER_URL: undefined,
  ETCD_LEASE_TTL: "controlPlane.leaseTtlSeconds",
  // Which GPUs are whose.
  CUDA_VISIBLE_DEVICES: undefined,
  // How an MPI world is started, and where it listens: `plan/engines/mpi.ts`.
  OMPI_MCA_plm: undefined,
  OMPI_MCA_oob_tcp_dynamic_ipv4_ports: "ports.mpi",
  OMPI_MCA_oob_tcp_dynamic_ipv6_ports: "ports.mpi",
  OMPI_MCA_orte_leave_session_attached: undefined,
  // The node's own: `runtime/node.py`.
  HEAD_IP: undefined,
  CONTROL_IP: undefined,
  NODE_IP: undefined,
  NODE_DIR: undefined,
  CLUSTER_DIR: undefined,
};

/** etcd takes any of its flags from `ETCD_…`; Dynamo finds it, and NATS, by these. The others are this program's and SkyPilot's own. */
const BEGINNINGS: Readonly<Record<string, Instead>> = {
  ETCD_: "controlPlane",
  NATS_: "controlPlane",
  DYNAMO_SKY_: undefined,
  RANK_IP_: undefined,
  OMPI_MCA_plm_rsh_: undefined,
  OMPI_MCA_btl_tcp_port_: "ports.mpi",
  SKYPILOT_DOCKER_: "sky.registry and the secret registryPassword",
  SKYPILOT_: undefined,
};

/** Whether the plan settles a variable, and which setting to use instead. */
export function settledVariable(name: string): { readonly instead: Instead } | undefined {
  if (Object.hasOwn(NAMES, name)) return { instead: NAMES[name] };
  const beginning = Object.keys(BEGINNINGS).find((start) => name.startsWith(start));
  return beginning === undefined ? undefined : { instead: BEGINNINGS[beginning] };
}

/** Arguments of `python -m dynamo.frontend` that say where it listens, or make it listen elsewhere too. */
const FRONTEND_FLAGS: Readonly<Record<string, Instead>> = {
  "--http-host": undefined,
  "--http-port": "frontend.port",
  "--tls-cert-path": undefined,
  "--tls-key-path": undefined,
  "--kserve-grpc-server": undefined,
  "--grpc-metrics-port": undefined,
  "--interactive": undefined,
  "-i": undefined,
  "--namespace": undefined,
  "--namespace-prefix": undefined,
  "--discovery-backend": "controlPlane.discovery",
  "--event-plane": "controlPlane.events",
  "--request-plane": "controlPlane.requestPlane",
};

/** The frontend's flag that an argument stands for, and which setting to use instead; undefined where the plan does not settle it. */
export function settledFrontendFlag(argument: string) {
  return settledFlag(FRONTEND_FLAGS, argument);
}

/** What is typed for a flag at the least: a shorter beginning is never unambiguous. */
const SHORTEST_ABBREVIATION = 5;

/**
 * The settled flag that an argument stands for. Python's argument parsers take `--flag=value`, `--no-flag`, and any beginning of a flag that
 * fits no other (`--http-h`): https://docs.python.org/3/library/argparse.html#allow-abbrev; vLLM's takes `_` for `-` too.
 */
export function settledFlag<Flags extends Readonly<Record<string, Instead>>>(
  settled: Flags,
  argument: string,
): { readonly flag: string; readonly instead: Instead } | undefined {
  const written = argument
    .replace(/=.*/s, "")
    .replaceAll("_", "-")
    .replace(/^--no-/, "--");
  const isAbbreviation = (flag: string) =>
    written.length >= SHORTEST_ABBREVIATION && written.startsWith("--") && flag.startsWith(written);
  const flag = Object.hasOwn(settled, written) ? written : Object.keys(settled).find(isAbbreviation);
  return flag === undefined ? undefined : { flag, instead: settled[flag] };
}
