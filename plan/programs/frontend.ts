/** The OpenAI-compatible frontend, with the router inside it. */
import { NODE_IP } from "../addresses";
import { NAMESPACE, type PlanContext } from "../context";
import type { NodePorts } from "../ports";
import type { ProgramPlan } from "../types";
import { controlPlaneWaits } from "./controlPlane";
import { dynamoEnvironment } from "./environment";

/** Flags: `python -m dynamo.frontend --help`. */
export function frontendPrograms(context: PlanContext, ports: NodePorts): ProgramPlan[] {
  const { config } = context;
  return Array.from({ length: config.frontend.replicas }, (_, replica): ProgramPlan => {
    const http = ports.take("http");
    return {
      name: `frontend-${replica}`,
      role: "frontend",
      replica,
      rank: 0,
      command: [
        ...["python3", "-m", "dynamo.frontend"],
        ...["--namespace", NAMESPACE],
        ...["--http-host", config.target === "local" ? NODE_IP : "0.0.0.0"],
        ...["--http-port", String(http)],
        ...routerFlags(context),
        ...["--migration-limit", String(config.frontend.migrationLimit)],
      ],
      env: dynamoEnvironment(context),
      secretEnv: [],
      gpus: [],
      ports: { http },
      waitsFor: controlPlaneWaits(context),
      health: { kind: "http", url: `http://${NODE_IP}:${http}/live` },
      stopSeconds: config.timeouts.stopSeconds,
    };
  });
}

function routerFlags({ config }: PlanContext): string[] {
  const { router, frontend } = config;
  const flags = ["--router-mode", router.mode];
  if (router.mode === "kv") {
    flags.push("--kv-cache-block-size", String(router.blockSize));
    if (!router.kvEvents) flags.push("--no-router-kv-events");
    if (frontend.replicas > 1) flags.push("--router-replica-sync");
  }
  return flags;
}
