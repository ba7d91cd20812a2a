/** Metrics: exporters, Prometheus, and alert thresholds. */
import { decimal, flag, section, setting, whole } from "./values";

const limitsSchema = section({
  ttftSeconds: setting(decimal({ min: 0, above: true }), {
    default: 2,
    unit: "seconds",
    about: "Time to the first token that 95 of 100 requests may take (`DynamoSlowFirstToken`).",
  }),
  itlSeconds: setting(decimal({ min: 0, above: true }), {
    default: 0.1,
    unit: "seconds",
    about: "Time between two tokens that 95 of 100 may take (`DynamoSlowTokens`).",
  }),
  kvCacheFill: setting(decimal({ min: 0, max: 1, above: true }), {
    default: 0.95,
    unit: "share, 1 is full",
    about: "How full a worker's KV cache may be for minutes (`DynamoKvCacheFull`).",
  }),
  waitingRequests: setting(whole({ min: 1 }), {
    default: 32,
    unit: "requests",
    about:
      "How many requests may wait for their first token while their number grows (`DynamoQueueGrowing`).",
  }),
  errorShare: setting(decimal({ min: 0, max: 1, above: true }), {
    default: 0.05,
    unit: "share, 1 is all",
    about: "Share of requests that may fail (`DynamoErrors`).",
  }),
  restarts: setting(whole({ min: 1, max: 1000 }), {
    default: 3,
    unit: "starts in 15 minutes",
    about: "How often a program may be started (`DynamoProgramRestarting`).",
  }),
});

export const metricsSchema = section({
  exporters: setting(flag(), {
    default: false,
    about:
      "Lets every node tell what Dynamo does not: programs and their restarts, NATS, the gateway; and the engine its own series (SGLang's `--enable-metrics`). For a Prometheus of your own, which reaches these metrics on the cluster's network: `bin/dynamo-sky metrics`. `metrics.prometheus` brings it along.",
  }),
  prometheus: setting(flag(), {
    default: false,
    about:
      "Runs a Prometheus on the head node that scrapes all programs and evaluates the alerts. It asks for no password, so only its own node reaches it.",
  }),
  scrapeIntervalSeconds: setting(whole({ min: 1, max: 60 }), {
    default: 15,
    unit: "seconds",
    about: "How often Prometheus asks every program, and evaluates the alerts.",
  }),
  retentionDays: setting(whole({ min: 1, max: 3650 }), {
    default: 15,
    unit: "days",
    about: "How long Prometheus keeps what it has seen (`--storage.tsdb.retention.time`).",
  }),
  retentionGB: setting(whole({ min: 1, max: 10_000 }), {
    default: 10,
    unit: "GB",
    about: "How much of the head's disk it may take (`--storage.tsdb.retention.size`).",
  }),
  limits: setting(limitsSchema, {
    default: {},
    defaultText: "the defaults of its settings",
    about: "Where an alert begins.",
  }),
});

/** Whether every node has an exporter: configured, or needed by the deployment's Prometheus. */
export function hasExporters({
  metrics,
}: {
  readonly metrics: { readonly exporters: boolean; readonly prometheus: boolean };
}): boolean {
  return metrics.exporters || metrics.prometheus;
}
