/** Environment of every Dynamo process, frontends and workers. */

import { NAMESPACE } from "../../config/names";
import { ENGINES, type EngineName, engines } from "../../engines";
import type { AlwaysSet } from "../../engines/engine";
import { CLUSTER_DIR, LOOPBACK, NODE_DIR } from "../../lib/placeholders";
import { isEncrypted, nodeAddress, type PlanContext } from "../context";
import { controlPlaneAddresses, controlPlaneSecrets, ETCD_USER } from "./controlPlane";

/**
 * Service discovery and addresses of a Dynamo process. Names:
 * https://github.com/ai-dynamo/dynamo/blob/v1.6.1/lib/runtime/src/config/environment_names.rs
 */
export function dynamoEnvironment(context: PlanContext): Record<string, string> {
  const { config, facts } = context;
  const { etcd, nats, broker } = controlPlaneAddresses(context);
  const isLocal = config.target === "local";
  return {
    DYN_NAMESPACE: NAMESPACE,
    DYN_DISCOVERY_BACKEND: facts.discovery,
    // Set on every process: if the event planes differ, all KV events are silently lost.
    DYN_EVENT_PLANE: facts.events,
    DYN_REQUEST_PLANE: config.controlPlane.requestPlane,
    // Address to bind *and* to advertise. Default: the machine's primary one.
    DYN_TCP_RPC_HOST: nodeAddress(config),
    // The name of an interface, not an address; default: that of the primary address.
    ...(isLocal || nodeAddress(config) === LOOPBACK ? { DYN_TCP_RESPONSE_STREAM_HOST: "lo" } : {}),
    ...(etcd === undefined
      ? { DYN_FILE_KV: `${isLocal ? CLUSTER_DIR : NODE_DIR}/discovery` }
      : {
          ETCD_ENDPOINTS: etcd,
          // Dynamo uses either a password or a certificate.
          ...(isEncrypted(config) ? {} : { ETCD_AUTH_USERNAME: ETCD_USER }),
          ETCD_LEASE_TTL: String(config.controlPlane.leaseTtlSeconds),
        }),
    ...(nats === undefined ? {} : { NATS_SERVER: nats }),
    ...(broker === undefined ? {} : { DYN_ZMQ_BROKER_URL: broker }),
    DYN_SDK_DISABLE_ANSI_LOGGING: "1",
    ...Object.fromEntries(elsewhere(config.engine).map(([name, { value }]) => [name, value])),
  };
}

/** Variables that every Dynamo process gets by default, besides service discovery, and why. */
export const ALWAYS_SET_OF_DYNAMO: AlwaysSet = {
  DYN_SDK_DISABLE_ANSI_LOGGING: "logs are read by programs, and merged",
  ...Object.fromEntries(elsewhere().map(([name, { why }]) => [name, why])),
};

/** Variables for deployments with another engine than the one that has them. */
function elsewhere(engine?: EngineName) {
  return ENGINES.filter((name) => name !== engine).flatMap((name) =>
    Object.entries(engines[name].elsewhere ?? {}),
  );
}

/** Variable for the token of the Hugging Face libraries. */
export const HUGGING_FACE_TOKEN = "HF_TOKEN";

/** Secrets of a Dynamo process, with values in the node's secrets file. */
export function dynamoSecrets(context: PlanContext): string[] {
  return [...controlPlaneSecrets(context), ...modelSecrets(context)];
}

/** Secrets to download a model. */
export function modelSecrets({ config }: PlanContext): string[] {
  return config.huggingFaceToken === undefined ? [] : [HUGGING_FACE_TOKEN];
}
