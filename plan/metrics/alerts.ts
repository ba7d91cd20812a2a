/** Prometheus alerts for a deployment. Pure. Their meaning and what to do: docs/metrics.md. */

import type { DeploymentConfig } from "../../config/deployment";
import { isSimulated } from "../../engines";
import type { DeploymentPlan, WorkerRole } from "../types";
import { programsOf, WORKER_ROLES } from "../types";
import { JOBS, SERIES, type Series, UP, whyAbsent } from "./series";

/** An alert: fires when `value op limit` has held for some time. */
export interface Alert {
  /** `DynamoNoWorkers`; several alerts with the same name differ in `labels`. */
  readonly name: string;
  readonly severity: "critical" | "warning";
  /** PromQL that always has a value, even if nothing is wrong, so that it can be queried and tested. */
  readonly value: string;
  readonly op: ">" | ">=" | "<" | "==";
  readonly limit: number;
  /** How long it must hold. Unit: seconds. */
  readonly forSeconds: number;
  readonly labels: Readonly<Record<string, string>>;
  /** One sentence for the person on call; may use Prometheus's templates. */
  readonly summary: string;
  /** The first thing to do. */
  readonly action: string;
  /** The series that it uses. */
  readonly series: readonly Series[];
}

/** Window of rates and quantiles: enough for the longest `metrics.scrapeIntervalSeconds`. */
const WINDOW = "5m";
/** The same for restarts. */
const RESTART_WINDOW = "15m";
/** Client errors, and requests that the client cancelled: values of `error_type` in Dynamo 1.6.1. */
export const CLIENT_ERRORS = "validation|not_found|cancelled|not_implemented";

/** PromQL of an alert. */
export function expression({ value, op, limit }: Pick<Alert, "value" | "op" | "limit">): string {
  return `${value} ${op} ${limit}`;
}

/** The alerts of a deployment: those whose series it exports. */
export function alertsOf(config: Pick<DeploymentConfig, "metrics">, plan: DeploymentPlan): Alert[] {
  const { limits } = config.metrics;
  const has = (...roles: readonly string[]) =>
    plan.clusters.some(({ nodes }) =>
      nodes.some(({ programs }) => programs.some(({ role }) => roles.includes(role))),
    );
  return [
    ...WORKER_ROLES.flatMap((role) => workerAlerts(plan, role)),
    ...frontendAlerts(limits),
    ...kvCacheAlerts(plan, limits.kvCacheFill),
    ...(whyAbsent(SERIES.eventsDropped, plan) === undefined ? [eventsDropped()] : []),
    ...(has("exporter") ? programAlerts(limits.restarts) : []),
    ...(has("etcd") ? etcdAlerts() : []),
    ...(has("nats") && has("exporter") ? natsAlerts() : []),
    ...(has("gateway") && has("exporter") ? [gatewayDown()] : []),
  ];
}

type Limits = DeploymentConfig["metrics"]["limits"];

/** Number of planned replicas of a role. */
function replicasOf(plan: DeploymentPlan, role: WorkerRole): number {
  const programs = programsOf(plan);
  return programs.filter((program) => program.role === role && program.rank === 0).length;
}

function workerAlerts(plan: DeploymentPlan, role: WorkerRole): Alert[] {
  const wanted = replicasOf(plan, role);
  if (wanted === 0) return [];
  const value = `(sum(${UP}{job="${JOBS.worker}",role="${role}",rank="0"}) or vector(0))`;
  const common = { value, labels: { role }, series: [] };
  return [
    {
      ...common,
      name: "DynamoNoWorkers",
      severity: "critical",
      op: "==",
      limit: 0,
      forSeconds: 30,
      summary: `No ${role} worker answers: requests fail.`,
      action: "Read the workers' logs; `preview` says what is lost, `up` starts it again.",
    },
    ...(wanted === 1
      ? []
      : [
          {
            ...common,
            name: "DynamoWorkersMissing",
            severity: "warning",
            op: "<",
            limit: wanted,
            forSeconds: 300,
            summary: `{{ $value }} of ${wanted} ${role} workers answer.`,
            action:
              "Read the log of the one that is missing; `preview` says what is lost, `up` starts it again.",
          } as const,
        ]),
  ];
}

function quantile(q: number, series: Series): string {
  return `histogram_quantile(${q}, sum by (le, model) (rate(${series.name}_bucket[${WINDOW}])))`;
}

function frontendAlerts({ ttftSeconds, itlSeconds, waitingRequests, errorShare }: Limits): Alert[] {
  const { ttft, itl, queued, requests, inflight, outputTokens } = SERIES;
  const waiting = (offset: string) => `sum(avg_over_time(${queued.name}[${WINDOW}]${offset}))`;
  const failed = `${requests.name}{status!="success",error_type!~"${CLIENT_ERRORS}"}`;
  return [
    {
      name: "DynamoFrontendDown",
      severity: "critical",
      value: `${UP}{job="${JOBS.frontend}"}`,
      op: "==",
      limit: 0,
      forSeconds: 60,
      labels: {},
      summary: "{{ $labels.program }} does not answer.",
      action: "Read its log. Supervisor starts it again whatever happens, so it keeps ending or hangs.",
      series: [],
    },
    {
      name: "DynamoSlowFirstToken",
      severity: "warning",
      value: quantile(0.95, ttft),
      op: ">",
      limit: ttftSeconds,
      forSeconds: 300,
      labels: {},
      summary: `5 of 100 requests wait {{ $value | humanizeDuration }} or longer for their first token (limit ${ttftSeconds} s).`,
      action:
        "Look at the queue and the prompts' length: more prefill workers, or shorter prompts, or a router that finds caches.",
      series: [ttft],
    },
    {
      name: "DynamoSlowTokens",
      severity: "warning",
      value: quantile(0.95, itl),
      op: ">",
      limit: itlSeconds,
      forSeconds: 300,
      labels: {},
      summary: `5 of 100 tokens come {{ $value | humanizeDuration }} or longer after the one before (limit ${itlSeconds} s).`,
      action:
        "The batches of the decode workers are too large, or prompts are computed in between: more decode workers, or prefill apart.",
      series: [itl],
    },
    {
      name: "DynamoQueueGrowing",
      severity: "warning",
      // Only while it grows: a long queue that shrinks recovers by itself.
      value: `(${waiting("")} and ${waiting("")} > ${waiting(" offset 5m")} or vector(0))`,
      op: ">",
      limit: waitingRequests,
      forSeconds: 300,
      labels: {},
      summary: `{{ $value }} requests wait for their first token, and it gets more (limit ${waitingRequests}).`,
      action: "More comes in than the workers can do: add replicas, or let the gateway allow less.",
      series: [queued],
    },
    {
      name: "DynamoErrors",
      severity: "critical",
      value: `(sum(rate(${failed}[${WINDOW}])) or vector(0)) / sum(rate(${requests.name}[${WINDOW}]))`,
      op: ">",
      limit: errorShare,
      forSeconds: 120,
      labels: {},
      summary: "{{ $value | humanizePercentage }} of the requests fail, by no fault of the clients.",
      action: "Read the frontends' logs: they name the worker and the reason.",
      series: [requests],
    },
    {
      name: "DynamoStuck",
      severity: "critical",
      value: `(sum(min_over_time(${inflight.name}[${WINDOW}])) and (sum(increase(${outputTokens.name}[${WINDOW}])) or vector(0)) == 0 or vector(0))`,
      op: ">",
      limit: 0,
      forSeconds: 120,
      labels: {},
      summary: "{{ $value }} requests are in progress, and not one token has come for 5 minutes.",
      action:
        "An engine hangs, most often in a collective operation between GPUs: restart the replica that has requests and writes nothing.",
      series: [inflight, outputTokens],
    },
  ];
}

/**
 * A real engine exports its cache usage. The mocker does not; for it the router's own count is used, if there
 * is one.
 */
function kvCacheAlerts(plan: DeploymentPlan, limit: number): Alert[] {
  const { kvUsage, activeBlocks, totalBlocks } = SERIES;
  const common = {
    name: "DynamoKvCacheFull",
    severity: "warning",
    op: ">",
    limit,
    forSeconds: 300,
    labels: {},
    action:
      "Requests are thrown out of the batch and computed again: more replicas, shorter contexts, a smaller share of weights, or `kvOffload`.",
  } as const;
  if (!isSimulated(plan.engine)) {
    const summary = "The KV cache of {{ $labels.program }} is {{ $value | humanizePercentage }} full.";
    return [
      { ...common, value: `max by (cluster, program, role) (${kvUsage.name})`, summary, series: [kvUsage] },
    ];
  }
  if (whyAbsent(activeBlocks, plan) !== undefined) return [];
  const value = `max by (worker_type, worker_id) (${activeBlocks.name}) / scalar(max(${totalBlocks.name}))`;
  const summary =
    "The KV cache of {{ $labels.worker_type }} worker {{ $labels.worker_id }} is {{ $value | humanizePercentage }} full.";
  return [{ ...common, value, summary, series: [activeBlocks, totalBlocks] }];
}

function eventsDropped(): Alert {
  const { eventsDropped: dropped } = SERIES;
  return {
    name: "DynamoKvEventsDropped",
    severity: "warning",
    value: `sum by (cluster, program) (increase(${dropped.name}[${WINDOW}]))`,
    op: ">",
    limit: 0,
    forSeconds: 60,
    labels: {},
    summary: "{{ $labels.program }} loses KV events: the router sends requests to the wrong caches.",
    action: "The events' carrier is too slow: look at NATS, and at the load of the worker's node.",
    series: [dropped],
  };
}

function programAlerts(restarts: number): Alert[] {
  const { programStarts, programUp } = SERIES;
  return [
    {
      name: "DynamoProgramRestarting",
      severity: "warning",
      value: `increase(${programStarts.name}[${RESTART_WINDOW}])`,
      op: ">=",
      limit: restarts,
      forSeconds: 0,
      labels: {},
      summary:
        "{{ $labels.name }} on node {{ $labels.node }} of {{ $labels.cluster }} was started {{ $value | humanize }} times in 15 minutes.",
      action: "It keeps ending: read its log, which says why it ended and which start it is.",
      series: [programStarts],
    },
    {
      name: "DynamoProgramDown",
      severity: "warning",
      value: programUp.name,
      op: "==",
      limit: 0,
      forSeconds: 300,
      labels: {},
      summary: "{{ $labels.name }} on node {{ $labels.node }} of {{ $labels.cluster }} does not run.",
      action: "It waits for something, or is held back since it keeps ending: its log says for what.",
      series: [programUp],
    },
    {
      name: "DynamoNodeSilent",
      severity: "warning",
      value: `${UP}{job="${JOBS.node}"}`,
      op: "==",
      limit: 0,
      forSeconds: 120,
      labels: {},
      summary: "Node {{ $labels.node }} of {{ $labels.cluster }} does not answer.",
      action: "The node is gone, or out of reach: `preview` says whether its cluster is lost.",
      series: [],
    },
  ];
}

function etcdAlerts(): Alert[] {
  const { etcdLeader, etcdSize, etcdQuota } = SERIES;
  return [
    {
      name: "DynamoEtcdDown",
      severity: "critical",
      value: `(max(${etcdLeader.name}) or vector(0))`,
      op: "<",
      limit: 1,
      forSeconds: 15,
      labels: {},
      summary:
        "etcd does not answer. Once `controlPlane.leaseTtlSeconds` are over, no worker is registered any more.",
      action: "Read etcd's log. Frontends that lost their lease end and are started again by themselves.",
      series: [etcdLeader],
    },
    {
      name: "DynamoEtcdFilling",
      severity: "warning",
      value: `max(${etcdSize.name}) / max(${etcdQuota.name})`,
      op: ">",
      limit: 0.8,
      forSeconds: 300,
      labels: {},
      summary:
        "etcd's database is at {{ $value | humanizePercentage }} of its quota, at which it stops writing.",
      action: "Compact and defragment it (`etcdctl compact`, `etcdctl defrag`), and find who writes so much.",
      series: [etcdSize, etcdQuota],
    },
  ];
}

function natsAlerts(): Alert[] {
  const { natsUp, natsSlow } = SERIES;
  return [
    {
      name: "DynamoNatsDown",
      severity: "critical",
      value: `(max(${natsUp.name}) or vector(0))`,
      op: "<",
      limit: 1,
      forSeconds: 15,
      labels: {},
      summary:
        "NATS does not answer: the router sees no KV events, and with request plane nats all requests fail.",
      action: "Read the log of NATS.",
      series: [natsUp],
    },
    {
      name: "DynamoNatsSlowConsumer",
      severity: "warning",
      value: `sum(increase(${natsSlow.name}[${WINDOW}]))`,
      op: ">",
      limit: 0,
      forSeconds: 0,
      labels: {},
      summary: "NATS cut off a receiver that was too slow: a router has lost KV events.",
      action:
        "Look at the frontends' CPU: one process takes in all workers' events. More frontends share the requests, not the events.",
      series: [natsSlow],
    },
  ];
}

function gatewayDown(): Alert {
  const { gatewayUp } = SERIES;
  return {
    name: "DynamoGatewayDown",
    severity: "critical",
    value: `(max(${gatewayUp.name}) or vector(0))`,
    op: "<",
    limit: 1,
    forSeconds: 15,
    labels: {},
    summary: "The gateway does not answer: no client gets in.",
    action: "Read the gateway's log.",
    series: [gatewayUp],
  };
}
