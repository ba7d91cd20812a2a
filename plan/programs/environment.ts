/** Environment that every Dynamo process needs, frontend and worker alike. */
import { CLUSTER_DIR, NODE_IP } from "../addresses";
import { NAMESPACE, type PlanContext } from "../context";
import { needsNats } from "./controlPlane";

/**
 * Where a Dynamo process finds the others, and where it listens. Names:
 * https://github.com/ai-dynamo/dynamo/blob/v1.4.2/lib/runtime/src/config/environment_names.rs
 */
export function dynamoEnvironment(context: PlanContext): Record<string, string> {
  const { config, facts, ports, controlHost } = context;
  return {
    DYN_NAMESPACE: NAMESPACE,
    DYN_DISCOVERY_BACKEND: facts.discovery,
    // Said on every process: planes that differ lose all KV events in silence.
    DYN_EVENT_PLANE: facts.events,
    DYN_REQUEST_PLANE: config.controlPlane.requestPlane,
    // Address to bind *and* to advertise. Unset it would be the machine's primary one.
    DYN_TCP_RPC_HOST: NODE_IP,
    ...(facts.discovery === "etcd"
      ? {
          ETCD_ENDPOINTS: `http://${controlHost}:${ports.etcdClient}`,
          ETCD_LEASE_TTL: String(config.controlPlane.leaseTtlSeconds),
        }
      : { DYN_FILE_KV: `${CLUSTER_DIR}/discovery` }),
    ...(needsNats(context) ? { NATS_SERVER: `nats://${controlHost}:${ports.natsClient}` } : {}),
    DYN_SDK_DISABLE_ANSI_LOGGING: "1",
    PYTHONUNBUFFERED: "1",
  };
}
