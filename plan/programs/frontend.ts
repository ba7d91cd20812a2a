/** The OpenAI-compatible frontend with its embedded router. */

import type { DeploymentConfig } from "../../config/deployment";
import { NAMESPACE } from "../../config/names";
import { onePort } from "../../config/ports";
import { ROUTER_KNOBS, type RouterKnob } from "../../config/router";
import { type AlwaysSet, flag, option } from "../../engines/engine";
import { NODE_IP } from "../../lib/placeholders";
import { ownAddress, type PlanContext } from "../context";
import { type NodePorts, portsByPurpose } from "../ports";
import type { ProgramPlan } from "../types";
import { controlPlaneWaits } from "./controlPlane";
import { dynamoEnvironment, dynamoSecrets } from "./environment";
import { watchOf } from "./watch";

/** All frontends, for the head node. Flags: `python -m dynamo.frontend --help`. */
export function frontendPrograms(context: PlanContext, ports: NodePorts): ProgramPlan[] {
  return Array.from({ length: context.config.frontend.replicas }, (_, replica) =>
    frontendProgram(context, replica, ports),
  );
}

function frontendProgram(context: PlanContext, replica: number, ports: NodePorts): ProgramPlan {
  const { config } = context;
  const { frontend } = config;
  const isLocal = config.target === "local";
  // Locally the response port is ephemeral: all nodes share the loopback interface. Behind the gateway: its
  // own HTTP port, not reachable from other nodes.
  const isInner = config.access.gateway;
  const needs = [onePort(isInner ? "frontendHttp" : "http"), ...(isLocal ? [] : [onePort("response")])];
  const taken = ports.takeAll(needs);
  const port = taken.frontendHttp ?? taken.http;
  const host = isInner ? ownAddress(context) : NODE_IP;
  return {
    name: `frontend-${replica}`,
    role: "frontend",
    replica,
    rank: 0,
    command: [
      ...["python3", "-m", "dynamo.frontend"],
      ...["--namespace", NAMESPACE],
      ...["--http-host", isInner || isLocal ? host : "0.0.0.0"],
      ...option("--http-port", port),
      ...routerFlags(config),
      ...["--migration-limit", String(frontend.migrationLimit)],
      ...option("--migration-max-seq-len", frontend.migrationMaxSeqLen),
      ...flag("--trust-remote-code", config.trustRemoteCode),
      ...frontend.args,
    ],
    // Never DYN_TCP_RPC_PORT: with it a frontend finds no model ('TCP RPC port not initialized'; tried with
    // Dynamo 1.4.2).
    env: {
      ...dynamoEnvironment(context),
      ...(taken.response === undefined ? {} : { DYN_TCP_RESPONSE_STREAM_PORT: String(taken.response) }),
      ...inhibition(config),
      ...frontend.env,
    },
    secretEnv: dynamoSecrets(context),
    gpus: [],
    ports: portsByPurpose(needs, taken),
    waitsFor: controlPlaneWaits(context),
    health: { kind: "http", url: `http://${host}:${port}/live` },
    // One that hangs keeps its connections, and the gateway goes on to send it requests.
    ...watchOf(config),
    stopSeconds: config.timeouts.stopSeconds,
  };
}

/**
 * A lost worker stays registered until its lease expires. After a failed request no other must be sent there
 * until then: with Dynamo's default of 5 seconds all requests come back to it earlier, and use up their
 * migrations.
 */
function inhibition({ frontend, controlPlane }: DeploymentConfig): Record<string, string> {
  if (frontend.migrationLimit === 0) return {};
  return { DYN_RUNTIME_INHIBITED_DURATION_SECS: String(controlPlane.leaseTtlSeconds) };
}

/** Options that a frontend gets by default, besides those of every Dynamo process, and why. */
export const ALWAYS_SET_OF_FRONTENDS: AlwaysSet = {
  "--router-replica-sync":
    "several frontends that do not tell each other what they have sent book the same worker twice",
  DYN_RUNTIME_INHIBITED_DURATION_SECS:
    "a request that moves on would come back to the lost worker before its lease ends",
};

/** The router's mode, and the options that differ from Dynamo's defaults. */
function routerFlags(config: DeploymentConfig): string[] {
  const { router, frontend } = config;
  const isKv = router.mode === "kv";
  return [
    ...["--router-mode", router.mode],
    // Default: the block size that workers register.
    ...(isKv ? option("--kv-cache-block-size", router.blockSize) : []),
    ...ROUTER_KNOBS.filter((knob) => isKv || !knob.kvOnly).flatMap((knob) =>
      knob.key === "replicaSync" && frontend.replicas > 1 ? [knob.flag] : knobFlag(knob, router[knob.key]),
    ),
  ];
}

/** `--flag value`; a switch is `--flag` or `--no-flag`; nothing for Dynamo's own default. */
function knobFlag(knob: RouterKnob, value: string | number | boolean | undefined): string[] {
  if (value === undefined || value === knob.default) return [];
  if (typeof value === "boolean") return [value ? knob.flag : knob.flag.replace(/^--/, "--no-")];
  return [knob.flag, String(value)];
}
