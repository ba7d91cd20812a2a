/** NVIDIA's planner, which decides how many workers there should be. */

import type { DeploymentConfig } from "../../config/deployment";
import { gpusPerReplica } from "../../config/pools";
import { onePort } from "../../config/ports";
import { NODE_DIR, programFile } from "../../lib/placeholders";
import { metricsAddress, type PlanContext } from "../context";
import { type NodePorts, portsByPurpose } from "../ports";
import { isAutoscaled, scaledPools } from "../scale";
import type { ProgramPlan, WorkerRole } from "../types";
import { controlPlaneWaits } from "./controlPlane";
import { dynamoEnvironment, dynamoSecrets } from "./environment";

const PLANNER = "planner";
const CONFIG_FILE = "planner.json";
/** It holds nothing that others wait for. Unit: seconds. */
const STOP_SECONDS = 5;

/** The planner, for the head node; empty if the number of workers does not change. */
export function plannerPrograms(context: PlanContext, ports: NodePorts): ProgramPlan[] {
  if (!isAutoscaled(context.config)) return [];
  const needs = [onePort("system"), onePort("rpc")];
  const taken = ports.takeAll(needs);
  const address = metricsAddress(context.config);
  return [
    {
      name: PLANNER,
      role: "planner",
      replica: 0,
      rank: 0,
      command: ["python3", `${NODE_DIR}/planner.py`, programFile(PLANNER, CONFIG_FILE)],
      env: {
        ...dynamoEnvironment(context),
        DYN_TCP_RPC_PORT: String(taken.rpc),
        DYN_SYSTEM_HOST: address,
        DYN_SYSTEM_PORT: String(taken.system),
        // Of matplotlib, which prophet imports: else in the home of the user.
        MPLCONFIGDIR: `${NODE_DIR}/run/${PLANNER}`,
      },
      secretEnv: dynamoSecrets(context),
      files: { [CONFIG_FILE]: `${JSON.stringify(plannerConfig(context.config), null, 2)}\n` },
      gpus: [],
      ports: portsByPurpose(needs, taken),
      waitsFor: controlPlaneWaits(context),
      health: { kind: "http", url: `http://${address}:${taken.system}/live` },
      stopSeconds: STOP_SECONDS,
    },
  ];
}

/**
 * Configuration of `python -m dynamo.planner`:
 * https://github.com/ai-dynamo/dynamo/blob/v1.6.1/components/src/dynamo/planner/config/planner_config.py
 */
function plannerConfig(config: DeploymentConfig): Record<string, unknown> {
  const { autoscale, engine, servedModelName } = config;
  const bounds = scaledPools(config);
  const min = (role: WorkerRole) => bounds.find((pool) => pool.role === role)?.min;
  const gpus = (role: WorkerRole) => gpusOf(config, role);
  const isSplit = config.pools.some(({ role }) => role === "prefill");
  const mode = isSplit ? modeOf(bounds.map(({ role }) => role)) : "agg";
  const settings = {
    environment: "virtual",
    backend: engine,
    mode,
    model_name: servedModelName,
    optimization_target: autoscale.target,
    enable_load_scaling: true,
    enable_throughput_scaling: false,
    load_adjustment_interval_seconds: autoscale.intervalSeconds,
    load_scaling_down_sensitivity: autoscale.sensitivity,
    decode_scale_up_kv_rate: autoscale.scaleUpKvPercent,
    decode_scale_down_kv_rate: autoscale.scaleDownKvPercent,
    prefill_scale_up_queue_tokens: autoscale.scaleUpQueueTokens,
    prefill_scale_down_queue_tokens: autoscale.scaleDownQueueTokens,
    // The rest bounds what it may ask for. A pool that does not change has no part in it.
    max_gpu_budget: bounds.reduce((sum, { role, max }) => sum + max * (gpus(role) ?? 0), 0),
    ...(mode === "disagg"
      ? { prefill_min_endpoint: min("prefill"), decode_min_endpoint: min("decode") }
      : { min_endpoint: bounds[0]?.min }),
    prefill_engine_num_gpu: gpus("prefill"),
    decode_engine_num_gpu: gpus("decode") ?? gpus("aggregated"),
    pre_deployment_sweeping_mode: "none",
    load_predictor: "constant",
    // They would listen, and write reports, without anybody who reads them.
    control_api_port: 0,
    report_interval_hours: null,
  };
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}

function modeOf(roles: readonly WorkerRole[]): "disagg" | "prefill" | "decode" {
  if (roles.length > 1) return "disagg";
  return roles[0] === "prefill" ? "prefill" : "decode";
}

function gpusOf({ pools }: DeploymentConfig, role: WorkerRole): number | undefined {
  const pool = pools.find((one) => one.role === role);
  return pool && gpusPerReplica(pool);
}
