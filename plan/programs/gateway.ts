/**
 * The gateway: nginx in front of the frontends, the only program that clients connect to. It authenticates
 * clients by key, limits the requests of a key, and balances requests over the frontends.
 * `runtime/gateway.py` runs it and has the keys; the plan has none.
 */

import { hasExporters } from "../../config/metrics";
import { onePort } from "../../config/ports";
import { WAKING_SECONDS } from "../../config/schedule";
import { tasks } from "../../config/task";
import { NODE_DIR, NODE_IP } from "../../lib/placeholders";
import { ownAddress, type PlanContext } from "../context";
import { type NodePorts, portsByPurpose } from "../ports";
import type { ProgramPlan } from "../types";
import { frontendPrograms } from "./frontend";

/**
 * Secret with the keys, in the node's secrets file: one key, or several as `name:key`, separated by commas, a
 * retired one as `name:key@2026-12-01T00:00:00Z`. `runtime/gateway.py` reloads it whenever it changes.
 */
export const API_KEYS = "DYNAMO_SKY_API_KEY";

/**
 * Secret with the certificate and its key, PEM, if the gateway uses TLS; plain or in base64.
 * `runtime/gateway.py` reloads it whenever it changes.
 */
export const TLS_BUNDLE = "DYNAMO_SKY_TLS";

/** Secrets that `runtime/gateway.py` reloads when they change, without a restart. */
export const READ_AGAIN: readonly string[] = [API_KEYS, TLS_BUNDLE];

/** Programs that clients connect to, for the head node: the frontends, behind the gateway if there is one. */
export function endpointPrograms(context: PlanContext, ports: NodePorts): ProgramPlan[] {
  if (!context.config.access.gateway) return frontendPrograms(context, ports);
  // First, so that it gets the configured port.
  const needs = [onePort("http"), ...(hasExporters(context.config) ? [onePort("gatewayStatus")] : [])];
  const taken = portsByPurpose(needs, ports.takeAll(needs));
  const frontends = frontendPrograms(context, ports);
  return [gatewayProgram(context, taken, frontends), ...frontends];
}

function gatewayProgram(
  context: PlanContext,
  ports: ProgramPlan["ports"],
  frontends: readonly ProgramPlan[],
): ProgramPlan {
  const port = ports["http"] ?? 0;
  return {
    name: "gateway",
    role: "gateway",
    replica: 0,
    rank: 0,
    command: [
      ...["python3", `${NODE_DIR}/gateway.py`],
      ...gatewayFlags(context, port, frontends, ports["gatewayStatus"]),
    ],
    env: {},
    secretEnv: [API_KEYS, ...(speaksTls(context) ? [TLS_BUNDLE] : [])],
    gpus: [],
    ports,
    waitsFor: [],
    health: { kind: "tcp", host: NODE_IP, port },
    stopSeconds: context.config.timeouts.stopSeconds,
  };
}

function speaksTls({ config }: PlanContext): boolean {
  return config.access.tls.mode !== "off";
}

/** Arguments of `runtime/gateway.py`, which fills them into `runtime/nginx.conf`. */
function gatewayFlags(
  context: PlanContext,
  port: number,
  frontends: readonly ProgramPlan[],
  statusPort: number | undefined,
): string[] {
  const { target, access, servedModelName, task, idle } = context.config;
  const { path, also } = tasks[task];
  const { maxRequestMB, requestsPerSecond, burst, connectionsPerKey } = access;
  const addresses = frontends.map(({ ports }) => `${ownAddress(context)}:${ports["frontendHttp"]}`);
  return [
    ...["--listen", `${target === "local" ? NODE_IP : "0.0.0.0"}:${port}`],
    ...(speaksTls(context) ? ["--tls"] : []),
    ...["--frontends", addresses.join(",")],
    ...[`--model=${servedModelName}`, "--paths", [path, ...also].join(",")],
    ...["--max-request-mb", String(maxRequestMB)],
    ...["--requests-per-second", String(requestsPerSecond)],
    ...["--burst", String(burst)],
    ...["--connections-per-key", String(connectionsPerKey)],
    ...(idle.then === "workers-down" ? ["--waking-seconds", String(WAKING_SECONDS)] : []),
    ...(statusPort === undefined ? [] : ["--status", `${ownAddress(context)}:${statusPort}`]),
  ];
}

/** URL of the gateway's metrics, for its own node; undefined if it has none. */
export function gatewayStatusUrl(context: PlanContext, { ports }: ProgramPlan): string | undefined {
  const port = ports["gatewayStatus"];
  return port === undefined ? undefined : `http://${ownAddress(context)}:${port}${STATUS_PATH}`;
}

/** As `runtime/nginx.conf` has it: https://nginx.org/en/docs/http/ngx_http_stub_status_module.html */
const STATUS_PATH = "/stub_status";
