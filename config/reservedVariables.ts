/**
 * Environment variables set by the plan: another value would bypass the gateway, or leave the cluster. Those
 * of an engine are in its file.
 */

import { engines } from "../engines";
import { FRONTEND_TABLE, flagOfVariable } from "./flags";
import { type Instead, reservedFrontendFlag } from "./reserved";

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
  // The ranks of a replica, and where they meet: engines take flags for these from the plan.
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
  // GPU assignment.
  CUDA_VISIBLE_DEVICES: undefined,
  // Start and address of an MPI world, of a job scheduler's too.
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
  const ofEngine = Object.values(engines).find(({ reservedVariables = {} }) =>
    Object.hasOwn(reservedVariables, name),
  );
  if (ofEngine !== undefined) return { instead: ofEngine.reservedVariables?.[name] };
  const beginning = Object.keys(BEGINNINGS).find((start) => name.startsWith(start));
  if (beginning !== undefined) return { instead: BEGINNINGS[beginning] };
  const flag = flagOfVariable(FRONTEND_TABLE, name);
  return flag === undefined ? undefined : reservedFrontendFlag(flag);
}
