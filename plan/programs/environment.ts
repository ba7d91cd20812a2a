/** Environment that every Dynamo process needs, frontend and worker alike. */
import { CLUSTER_DIR, LOOPBACK, NODE_DIR } from "../../lib/placeholders";
import { NAMESPACE, nodeAddress, type PlanContext } from "../context";
import type { Unasked } from "../engines/engine";
import { controlPlaneAddresses, controlPlaneSecrets, ETCD_USER } from "./controlPlane";

/**
 * Where a Dynamo process finds the others, and where it listens. Names:
 * https://github.com/ai-dynamo/dynamo/blob/v1.6.1/lib/runtime/src/config/environment_names.rs
 */
export function dynamoEnvironment(context: PlanContext): Record<string, string> {
  const { config, facts } = context;
  const { etcd, nats, broker } = controlPlaneAddresses(context);
  const isLocal = config.target === "local";
  return {
    DYN_NAMESPACE: NAMESPACE,
    DYN_DISCOVERY_BACKEND: facts.discovery,
    // Said on every process: planes that differ lose all KV events in silence.
    DYN_EVENT_PLANE: facts.events,
    DYN_REQUEST_PLANE: config.controlPlane.requestPlane,
    // Address to bind *and* to advertise. Unset it would be the machine's primary one.
    DYN_TCP_RPC_HOST: nodeAddress(config),
    // The name of an interface, not an address, and unset it is the one of the primary address.
    ...(isLocal || nodeAddress(config) === LOOPBACK ? { DYN_TCP_RESPONSE_STREAM_HOST: "lo" } : {}),
    ...(etcd === undefined
      ? { DYN_FILE_KV: `${isLocal ? CLUSTER_DIR : NODE_DIR}/discovery` }
      : {
          ETCD_ENDPOINTS: `http://${etcd}`,
          ETCD_AUTH_USERNAME: ETCD_USER,
          ETCD_LEASE_TTL: String(config.controlPlane.leaseTtlSeconds),
        }),
    ...(nats === undefined ? {} : { NATS_SERVER: `nats://${nats}` }),
    ...(broker === undefined ? {} : { DYN_ZMQ_BROKER_URL: broker }),
    DYN_SDK_DISABLE_ANSI_LOGGING: "1",
    PYTHONUNBUFFERED: "1",
  };
}

/** What every Dynamo process has without being asked, besides where it finds the others, and why. */
export const UNASKED_OF_DYNAMO: Unasked = {
  DYN_SDK_DISABLE_ANSI_LOGGING: "logs are read by programs, and merged",
  PYTHONUNBUFFERED: "a line of a log is there when it was written, also when the process dies",
};

/** Variable in which the Hugging Face libraries look for the token. */
export const HUGGING_FACE_TOKEN = "HF_TOKEN";

/** Secrets that a Dynamo process needs, whose values are in the node's secrets file. */
export function dynamoSecrets(context: PlanContext): string[] {
  return [...controlPlaneSecrets(context), ...modelSecrets(context)];
}

/** Those with which a process may read a model. */
export function modelSecrets({ config }: PlanContext): string[] {
  return config.huggingFaceToken === undefined ? [] : [HUGGING_FACE_TOKEN];
}
