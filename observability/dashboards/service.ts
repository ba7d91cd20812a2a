/** Dashboard of the service for clients: throughput, latency, errors. */

import type { DeploymentConfig } from "../../config/deployment";
import { CLIENT_ERRORS } from "../../plan/metrics/alerts";
import { JOBS, SERIES, UP } from "../../plan/metrics/series";
import type { DeploymentPlan } from "../../plan/types";
import { programsOf } from "../../plan/types";
import {
  type Dashboard,
  mean,
  type Panel,
  quantile,
  quantiles,
  type Row,
  rate,
  select,
  sum,
  VARIABLES,
} from "./panels";

const {
  requests,
  inflight,
  queued,
  disconnected,
  ttft,
  itl,
  duration,
  inputLength,
  outputLength,
  outputTokens,
  stage,
  hitRate,
} = SERIES;
const { gatewayRequests, gatewayConnections } = SERIES;

/** Share of errors that are not the client's; 0 without any errors. */
function errorShare(): string {
  const selector = select(requests.name).replace(/}$/, `,status!="success",error_type!~"${CLIENT_ERRORS}"}`);
  return `(sum(rate(${selector}[${VARIABLES.interval}])) or vector(0)) / ${rate(requests)}`;
}

export function serviceDashboard(
  { metrics }: Pick<DeploymentConfig, "metrics">,
  plan: DeploymentPlan,
): Dashboard {
  const { limits } = metrics;
  return {
    uid: "dynamo-service",
    title: "Dynamo: service",
    about: "What clients get: requests, time to the first token, time between tokens, errors.",
    rows: [
      { title: "Now", panels: nowPanels(limits, plan) },
      { title: "Requests", panels: requestPanels() },
      { title: "Latency", panels: latencyPanels(limits) },
      { title: "Tokens", panels: tokenPanels() },
      clientRow(),
    ],
  };
}

type Limits = DeploymentConfig["metrics"]["limits"];

function nowPanels(limits: Limits, plan: DeploymentPlan): Panel[] {
  const stat = { kind: "stat" } as const;
  return [
    {
      ...stat,
      title: "Requests",
      about: "Answered per second.",
      unit: "reqps",
      queries: [{ expr: rate(requests), legend: "requests" }],
      series: [requests],
    },
    {
      ...stat,
      title: "In progress",
      about: "Requests that are being answered.",
      unit: "short",
      queries: [{ expr: sum(inflight), legend: "in progress" }],
      series: [inflight],
    },
    {
      ...stat,
      title: "Waiting",
      about: "Requests without a first token.",
      unit: "short",
      limit: limits.waitingRequests,
      queries: [{ expr: sum(queued), legend: "waiting" }],
      series: [queued],
    },
    {
      ...stat,
      title: "TTFT p95",
      about: "95 of 100 requests have their first token sooner.",
      unit: "s",
      limit: limits.ttftSeconds,
      queries: [{ expr: quantile(0.95, ttft), legend: "TTFT" }],
      series: [ttft],
    },
    {
      ...stat,
      title: "ITL p95",
      about: "95 of 100 tokens come sooner after the one before.",
      unit: "s",
      limit: limits.itlSeconds,
      queries: [{ expr: quantile(0.95, itl), legend: "ITL" }],
      series: [itl],
    },
    {
      ...stat,
      title: "Errors",
      about: "Share of requests that fail by no fault of the client.",
      unit: "percentunit",
      limit: limits.errorShare,
      queries: [{ expr: errorShare(), legend: "errors" }],
      series: [requests],
    },
    {
      ...stat,
      title: "Tokens",
      about: "Written per second.",
      unit: "cps",
      queries: [{ expr: rate(outputTokens), legend: "tokens" }],
      series: [outputTokens],
    },
    {
      ...stat,
      title: "Workers",
      about: `That answer, of ${wanted(plan)} planned.`,
      unit: "short",
      queries: [{ expr: `sum(${select(UP, { job: JOBS.worker, rank: "0" })})`, legend: "workers" }],
      series: [],
    },
  ];
}

function wanted(plan: DeploymentPlan): number {
  const programs = programsOf(plan);
  return programs.filter(({ role, rank }) => role in plan.expectedWorkers && rank === 0).length;
}

function requestPanels(): Panel[] {
  return [
    {
      title: "Requests",
      about: "Answered per second, by outcome. `error` with a type: Dynamo's own word for the reason.",
      unit: "reqps",
      queries: [{ expr: rate(requests, ["status", "error_type"]), legend: "{{status}} {{error_type}}" }],
      series: [requests],
    },
    {
      title: "In progress and waiting",
      about: "Waiting grows when more comes in than the workers can do.",
      unit: "short",
      queries: [
        { expr: sum(inflight), legend: "in progress" },
        { expr: sum(queued), legend: "waiting" },
      ],
      series: [inflight, queued],
    },
    {
      title: "Given up",
      about: "Clients that went away before their answer was complete.",
      unit: "short",
      queries: [{ expr: sum(disconnected), legend: "disconnected" }],
      series: [disconnected],
    },
  ];
}

function latencyPanels(limits: Limits): Panel[] {
  return [
    {
      title: "Time to first token",
      about: "From the request's arrival at the frontend; the line is the alert's limit.",
      unit: "s",
      limit: limits.ttftSeconds,
      queries: quantiles(ttft),
      series: [ttft],
    },
    {
      title: "Time between tokens",
      about: "What a reader feels as speed; the line is the alert's limit.",
      unit: "s",
      limit: limits.itlSeconds,
      queries: quantiles(itl),
      series: [itl],
    },
    {
      title: "Whole answer",
      about: "From request to the last token.",
      unit: "s",
      queries: quantiles(duration),
      series: [duration],
    },
    {
      title: "Stages of the frontend",
      about:
        "Where its time goes: templates and tokens (preprocess), choosing a worker (route), the worker itself (transport_roundtrip).",
      unit: "s",
      queries: [{ expr: mean(stage, ["stage"]), legend: "{{stage}}" }],
      series: [stage],
    },
  ];
}

function tokenPanels(): Panel[] {
  const read = `sum(rate(${select(`${inputLength.name}_sum`)}[${VARIABLES.interval}]))`;
  return [
    {
      title: "Throughput",
      about: "Tokens per second, read and written.",
      unit: "cps",
      queries: [
        { expr: read, legend: "read" },
        { expr: rate(outputTokens), legend: "written" },
      ],
      series: [inputLength, outputTokens],
    },
    {
      title: "Prompt length",
      about: "Tokens.",
      unit: "short",
      queries: quantiles(inputLength),
      series: [inputLength],
    },
    {
      title: "Answer length",
      about: "Tokens.",
      unit: "short",
      queries: quantiles(outputLength),
      series: [outputLength],
    },
  ];
}

function clientRow(): Row {
  return {
    title: "Clients, at the gateway",
    panels: [
      {
        title: "By key",
        about: "Requests per second by name of the key; without one: refused.",
        unit: "reqps",
        queries: [{ expr: rate(gatewayRequests, ["key"]), legend: "{{key}}" }],
        series: [gatewayRequests],
      },
      {
        title: "By status",
        about: "401: no valid key. 413: too large. 429: too fast, or too much at a time. 503: no frontend.",
        unit: "reqps",
        queries: [{ expr: rate(gatewayRequests, ["status"]), legend: "{{status}}" }],
        series: [gatewayRequests],
      },
      {
        title: "Connections",
        about: "Of clients, open.",
        unit: "short",
        queries: [{ expr: sum(gatewayConnections), legend: "open" }],
        series: [gatewayConnections],
      },
    ],
  };
}

/** Share of prompts found in a cache, for dashboards with a router. */
export function hitRatePanel(): Panel {
  return {
    title: "Cache hit rate",
    about:
      "Share of a prompt that the chosen worker had cached: near 0 where prompts have nothing in common, or where KV events do not arrive.",
    unit: "percentunit",
    queries: [{ expr: mean(hitRate), legend: "mean" }],
    series: [hitRate],
  };
}
