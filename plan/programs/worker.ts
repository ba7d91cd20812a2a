/** Engine workers: one process per node of a replica. */

import type { DeploymentConfig, PoolConfig } from "../../config/deployment";
import { onePort, type PortNeed, type PortsTaken } from "../../config/ports";
import { CLEAN_UP_SECONDS } from "../../config/services";
import { engines } from "../../engines";
import type { AlwaysSet, Engine, ProcessKind, RankSpec, WorkerSpec } from "../../engines/engine";
import { OWN_GPUS } from "../../lib/placeholders";
import { addressOf, metricsAddress, nodeAddress, type PlanContext } from "../context";
import { HUB_OFFLINE, hubEnvironment } from "../hub";
import { withPaths } from "../otherModels";
import type { Share } from "../packing";
import { type NodePorts, portsByPurpose } from "../ports";
import type { Probe, ProgramPlan } from "../types";
import { controlPlaneWaits, LOCKSTEP_SECRET } from "./controlPlane";
import { dynamoEnvironment, dynamoSecrets, modelSecrets } from "./environment";
import { torchEnvironment } from "./torch";
import { watchOf } from "./watch";

/** One replica, placed. */
export interface ReplicaSeat {
  readonly pool: PoolConfig;
  /** Index of the replica within its role; replicas are numbered across the pools of a role. */
  readonly replica: number;
  /** One share per node, in order of the ranks; nodes are numbered within the replica's cluster. */
  readonly shares: readonly Share[];
}

/** A program and its node. */
export interface SeatedProgram {
  readonly node: number;
  readonly program: ProgramPlan;
}

/** The processes of one replica; takes their ports from the nodes' ranges. */
export function replicaPrograms(
  context: PlanContext,
  seat: ReplicaSeat,
  portsOf: (node: number) => NodePorts,
): SeatedProgram[] {
  const { config } = context;
  const engine = engines[config.engine];
  const ranks = seat.shares.map((share, rank) => {
    const spec: RankSpec = { config, pool: seat.pool, nodes: seat.shares.length, rank };
    const needs = [...dynamoPorts(engine.kind(spec)), ...engine.ports(spec), ...lockstepPorts(spec)];
    return { share, spec, needs, taken: portsOf(share.node).takeAll(needs) };
  });
  const [head] = ranks;
  if (head === undefined) return [];
  const base = `${seat.pool.role}-${seat.replica}`;
  return ranks.map(({ share, spec, needs, taken }) => {
    const worker: WorkerSpec = {
      ...spec,
      name: spec.rank === 0 ? base : `${base}-rank${spec.rank}`,
      address: nodeAddress(config),
      leader: addressOf(config, head.share.node),
      hosts: seat.shares.map(({ node }) => addressOf(config, node)),
      ports: taken,
      leaderPorts: head.taken,
    };
    return { node: share.node, program: workerProgram(context, engine, worker, seat, share, needs) };
  });
}

/** Port on which rank 0 of a replica over several nodes waits for the others. */
function lockstepPorts({ nodes, rank }: RankSpec): PortNeed[] {
  return nodes > 1 && rank === 0 ? [onePort("lockstep")] : [];
}

/** Dynamo's own ports of a process: its status server, and its request port. */
function dynamoPorts(kind: ProcessKind): PortNeed[] {
  if (kind === "bare") return [];
  return kind === "helper" ? [onePort("system")] : [onePort("system"), onePort("rpc")];
}

function workerProgram(
  context: PlanContext,
  engine: Engine,
  worker: WorkerSpec,
  seat: ReplicaSeat,
  share: Share,
  needs: readonly PortNeed[],
): ProgramPlan {
  const { config, pool, ports } = worker;
  const kind = engine.kind(worker);
  const { command, env, mpi } = engine.start(worker);
  return {
    name: worker.name,
    role: pool.role,
    replica: seat.replica,
    rank: worker.rank,
    command: withPaths(config, pool, command),
    env: {
      ...(kind === "bare" ? {} : dynamoEnvironment(context)),
      ...statusEnvironment(config, kind, ports),
      ...(kind === "worker" && engine.usesGpus
        ? { ...graceEnvironment(config), ...canaryEnvironment(config) }
        : {}),
      ...(engine.usesGpus ? { CUDA_VISIBLE_DEVICES: OWN_GPUS, ...torchEnvironment(worker) } : {}),
      ...hubEnvironment(config, pool),
      ...env,
    },
    secretEnv: kind === "bare" ? modelSecrets(context) : dynamoSecrets(context),
    gpus: share.gpus,
    ports: portsByPurpose(needs, ports),
    waitsFor: kind === "bare" ? [] : controlPlaneWaits(context),
    health:
      engine.bareHealth !== undefined && kind === "bare"
        ? engine.bareHealth(worker)
        : statusProbe(config, ports),
    // Only the process that serves the endpoint knows whether its replica answers.
    ...(kind === "worker" ? watchOf(config) : {}),
    stopSeconds: config.timeouts.stopSeconds,
    ...lockstepOf(worker),
    ...(mpi === undefined ? {} : { mpi }),
  };
}

/** Keeps the ranks of a replica in step; undefined if it has only one. */
function lockstepOf({ config, nodes, leader, leaderPorts }: WorkerSpec): Pick<ProgramPlan, "lockstep"> {
  if (nodes === 1 || leaderPorts.lockstep === undefined) return {};
  const timeoutSeconds = config.timeouts.dependencySeconds;
  return {
    lockstep: {
      host: leader,
      port: leaderPorts.lockstep,
      ranks: nodes,
      secret: LOCKSTEP_SECRET,
      timeoutSeconds,
    },
  };
}

function statusProbe(config: DeploymentConfig, ports: PortsTaken): Probe {
  return { kind: "http", url: `http://${metricsAddress(config)}:${ports.system}/health` };
}

/**
 * Endpoints that decide `/health` and `/live`. Without it only an endpoint with a health check payload
 * counts, which the mocker and encode workers do not have: they would return 503 while they serve. Dynamo
 * reports `DYN_SYSTEM_USE_ENDPOINT_HEALTH_STATUS` as deprecated at every start; any field of its runtime's
 * configuration can also be set as `DYN_RUNTIME_<FIELD>`, without a warning:
 * https://github.com/ai-dynamo/dynamo/blob/v1.6.1/lib/runtime/src/config.rs (`RuntimeConfig::figment`).
 */
const HEALTHY_ENDPOINTS = "DYN_RUNTIME_USE_ENDPOINT_HEALTH_STATUS";

/**
 * Whether the status server serves configuration and tokenizer of the model. Frontends download them from
 * there, also from another cluster:
 * https://github.com/ai-dynamo/dynamo/blob/v1.6.1/lib/llm/src/local_model.rs (`ENV_SELF_HOST_METADATA`)
 */
const SERVES_METADATA = "DYN_SELF_HOST_METADATA";

/** Options that a worker gets by default, besides those of every Dynamo process and its engine, and why. */
export const ALWAYS_SET_OF_WORKERS: AlwaysSet = {
  [HEALTHY_ENDPOINTS]: "its health is that of the endpoint that serves",
  DYN_HEALTH_CHECK_ENABLED: "an engine that hangs is found out",
  DYN_HEALTH_CHECK_REQUEST_TIMEOUT:
    "Dynamo's 3 seconds are too short for an engine with long prompts before it",
  [SERVES_METADATA]: "a frontend has no files of the model, and no revision or bucket to get them from",
  DYN_SYSTEM_STARTING_HEALTH_STATUS: "a rank without an endpoint would never be healthy",
  DYN_GRACEFUL_SHUTDOWN_GRACE_PERIOD_SECS:
    "requests in progress have the time that `timeouts.stopSeconds` gives them",
  [HUB_OFFLINE]: "all that they load was fetched before they start",
  GLOO_SOCKET_IFNAME: "gloo takes the address of the node's own name, by which ranks often never meet",
  NCCL_SOCKET_IFNAME: "nothing leaves a deployment of one node, so nothing has to listen beyond it",
};

/** Dynamo's status server and request port. */
function statusEnvironment(
  config: DeploymentConfig,
  kind: ProcessKind,
  ports: PortsTaken,
): Record<string, string> {
  if (kind === "bare") return {};
  return {
    ...(ports.rpc === undefined ? {} : { DYN_TCP_RPC_PORT: String(ports.rpc) }),
    DYN_SYSTEM_HOST: metricsAddress(config),
    DYN_SYSTEM_PORT: String(ports.system),
    ...(kind !== "helper"
      ? { [HEALTHY_ENDPOINTS]: '["generate"]', [SERVES_METADATA]: "1" }
      : // It never serves an endpoint that would make it ready.
        { DYN_SYSTEM_STARTING_HEALTH_STATUS: "ready" }),
  };
}

/**
 * A stopped worker deregisters, waits this long, and aborts the remaining requests: with Dynamo's default of
 * 5 seconds, regardless of their length. (dynamo/common/utils/graceful_shutdown.py; the mocker finishes
 * them.)
 */
function graceEnvironment({ timeouts: { stopSeconds } }: DeploymentConfig): Record<string, string> {
  const seconds = Math.max(stopSeconds - CLEAN_UP_SECONDS, stopSeconds / 2);
  return { DYN_GRACEFUL_SHUTDOWN_GRACE_PERIOD_SECS: String(seconds) };
}

/** Makes `/health` that of the engine, not only of the process around it: `config/health.ts`. */
function canaryEnvironment({ health }: DeploymentConfig): Record<string, string> {
  if (!health.canary) return {};
  return {
    DYN_HEALTH_CHECK_ENABLED: "true",
    DYN_HEALTH_CHECK_REQUEST_TIMEOUT: String(health.canarySeconds),
  };
}

/** Number of workers that one replica registers with the frontend. */
export function registeredWorkers(config: DeploymentConfig, pool: PoolConfig, nodes: number): number {
  const engine = engines[config.engine];
  return Array.from({ length: nodes }, (_, rank) => engine.kind({ config, pool, nodes, rank })).filter(
    (kind) => kind === "worker",
  ).length;
}
