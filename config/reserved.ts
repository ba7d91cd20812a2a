/**
 * Environment variables and flags set by the plan: another value would bypass the gateway, or leave the
 * cluster. The only list of them.
 */

import { FLAGS, type FlagTable, flagOfVariable } from "./flags";
import { ROUTER_SETTINGS } from "./router";

/** The setting to use instead; undefined if it is derived from others. */
type Instead = string | undefined;

/** Names: https://github.com/ai-dynamo/dynamo/blob/v1.6.1/lib/runtime/src/config/environment_names.rs */
const NAMES: Readonly<Record<string, Instead>> = {
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
  VLLM_MOONCAKE_BOOTSTRAP_PORT: "ports.sideChannel",
  VLLM_HOST_IP: undefined,
  SGLANG_HOST_IP: undefined,
  // SGLang's second name for it.
  HOST_IP: undefined,
  // The ranks of a replica, and where they meet: engines take flags for these from the plan.
  VLLM_PORT: undefined,
  VLLM_LOOPBACK_IP: undefined,
  VLLM_DP_RANK: undefined,
  VLLM_DP_RANK_LOCAL: undefined,
  VLLM_DP_SIZE: "pools[].dataParallel",
  VLLM_DP_MASTER_IP: undefined,
  VLLM_DP_MASTER_PORT: "ports.distInit",
  SGLANG_PORT: "ports.engine",
  SGLANG_TCP_STORE_PORT: undefined,
  MASTER_ADDR: undefined,
  MASTER_PORT: "ports.distInit",
  RANK: undefined,
  LOCAL_RANK: undefined,
  NODE_RANK: undefined,
  GROUP_RANK: undefined,
  WORLD_SIZE: "pools[].tensorParallel",
  LOCAL_WORLD_SIZE: "pools[].tensorParallel",
  // Service discovery: those without a flag of a frontend.
  DYN_NAMESPACE_WORKER_SUFFIX: undefined,
  DYN_FILE_KV: undefined,
  DYN_ZMQ_BROKER_URL: undefined,
  DYN_EVENT_PLANE_HOST: undefined,
  ETCD_LEASE_TTL: "controlPlane.leaseTtlSeconds",
  // How a worker that hangs is found.
  DYN_HEALTH_CHECK_ENABLED: "health.canary",
  DYN_HEALTH_CHECK_REQUEST_TIMEOUT: "health.canarySeconds",
  DYN_TRTLLM_PUBLISH_EVENTS_AND_METRICS: "router.kvEvents",
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

/**
 * Whether the plan sets a variable, and which setting to use instead. Variables of an engine's own flags are
 * those of its table (`plan/engineProblems.ts`).
 */
export function reservedVariable(name: string): { readonly instead: Instead } | undefined {
  if (Object.hasOwn(NAMES, name)) return { instead: NAMES[name] };
  const beginning = Object.keys(BEGINNINGS).find((start) => name.startsWith(start));
  if (beginning !== undefined) return { instead: BEGINNINGS[beginning] };
  const flag = flagOfVariable(FLAGS.frontend, name);
  return flag === undefined ? undefined : reservedFrontendFlag(flag);
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

/**
 * Flags of the router. A worker takes them too, and then overrides the frontend's for itself
 * (`parse_worker_router_config` of
 * https://github.com/ai-dynamo/dynamo/blob/v1.6.1/components/src/dynamo/common/configuration/groups/router_args.py).
 */
export const ROUTER_FLAGS: Readonly<Record<string, Instead>> = {
  "--router-mode": "router.mode",
  ...ROUTER_SETTINGS,
};

/** Those of a real engine's worker, besides. */
export const WORKER_FLAGS = {
  ...RUNTIME_FLAGS,
  ...ROUTER_FLAGS,
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
  return reservedFlag(FRONTEND_FLAGS, argument, FLAGS.frontend);
}

const NO_ALIASES = { aliases: {} };

/** A reserved flag, and which setting to use instead. */
export interface Reserved<V = Instead> {
  readonly flag: string;
  readonly instead: V | undefined;
}

/**
 * The reserved flag of an argument, in any notation, aliases of the program's table included; undefined for
 * all others.
 */
export function reservedFlag<V = Instead>(
  reserved: Readonly<Record<string, V>>,
  argument: string,
  { aliases }: Pick<FlagTable, "aliases"> = NO_ALIASES,
): Reserved<V> | undefined {
  if (!isFlag(argument)) return undefined;
  const flags = Object.keys(reserved);
  const exact = (written: string) => flags.find((flag) => spelling(flag) === written);
  const forms = formsOf(argument);
  // `-tp` where only `--tp` is there, and `-tp8`: no parser takes them, and everybody means `--tp 8`.
  const meant = forms
    .flatMap((form) => [form, form.replace(/\d+$/, "")])
    .flatMap((form) => [form, `-${form}`]);
  const flag =
    meant
      .flatMap((form) => [form, aliases[form] ?? form])
      .map(exact)
      .find((found) => found !== undefined) ??
    flags.find((one) => forms.some((written) => standsFor(written, spelling(one))));
  return flag === undefined ? undefined : { flag, instead: reserved[flag] };
}

/** Whether an argument is a flag: a number below zero is a value, and `--` ends the flags. */
export const isFlag = (argument: string): boolean =>
  /^-[^-]|^--./.test(argument) && !/^-\d*\.?\d+$/.test(argument);

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
