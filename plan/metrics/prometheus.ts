/**
 * Targets and alerts → Prometheus's configuration files. Pure.
 * https://prometheus.io/docs/prometheus/latest/configuration/configuration/
 */
import { stringify } from "yaml";
import { type Alert, expression } from "./alerts";
import { JOBS } from "./series";
import { nodeKey, type ScrapeTarget } from "./targets";

/** Name of the rules file, next to `prometheus.yml`. */
export const RULES_FILE = "rules.yml";

/** One entry of a target list, in Prometheus's format. */
export interface TargetGroup {
  readonly targets: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

export function targetGroup({ host, port, labels }: ScrapeTarget): TargetGroup {
  return { targets: [`${host}:${port}`], labels: { ...labels } };
}

export interface PrometheusSettings {
  readonly scrapeIntervalSeconds: number;
  readonly targets: readonly ScrapeTarget[];
  /** Targets on other clusters, whose addresses are looked up while Prometheus runs. Default: none. */
  readonly elsewhere?: TargetsElsewhere | undefined;
}

export interface TargetsElsewhere {
  readonly targets: readonly ScrapeTarget[];
  /** URL of their addresses; a job's label is appended. */
  readonly url: string;
}

/** How soon a changed address is noticed. Unit: seconds. */
const REFRESH_SECONDS = 15;

/** `prometheus.yml`. */
export function renderPrometheus({ scrapeIntervalSeconds, targets, elsewhere }: PrometheusSettings): string {
  const interval = `${scrapeIntervalSeconds}s`;
  return toYaml({
    // A time-out must not exceed the interval.
    global: {
      scrape_interval: interval,
      scrape_timeout: `${Math.min(10, scrapeIntervalSeconds)}s`,
      evaluation_interval: interval,
    },
    rule_files: [RULES_FILE],
    scrape_configs: scrapeConfigs(targets, elsewhere),
  });
}

/** One job per kind of program. */
function scrapeConfigs(targets: readonly ScrapeTarget[], elsewhere?: TargetsElsewhere): unknown[] {
  return Object.entries(JOBS).flatMap(([job, label]) => {
    const isMine = (target: ScrapeTarget) => target.job === job;
    const here = targets.filter(isMine).map(targetGroup);
    // https://prometheus.io/docs/prometheus/latest/configuration/configuration/#http_sd_config
    const discovery = elsewhere?.targets.some(isMine)
      ? { http_sd_configs: [{ url: `${elsewhere.url}${label}`, refresh_interval: `${REFRESH_SECONDS}s` }] }
      : undefined;
    if (here.length === 0 && discovery === undefined) return [];
    return [{ job_name: label, ...(here.length > 0 ? { static_configs: here } : {}), ...discovery }];
  });
}

/** Input of `runtime/registry.py`: targets by job, each with the node to look up. */
export function renderElsewhere(targets: readonly ScrapeTarget[]): string {
  const jobs = Object.entries(JOBS).flatMap(([job, label]) => {
    const mine = targets.filter((target) => target.job === job);
    const entries = mine.map(({ port, labels }) => ({
      node: nodeKey(labels.cluster, labels.node),
      port,
      labels,
    }));
    return entries.length === 0 ? [] : [[label, entries] as const];
  });
  return `${JSON.stringify(Object.fromEntries(jobs), undefined, 2)}\n`;
}

/** `rules.yml`: the alerts. */
export function renderRules(alerts: readonly Alert[]): string {
  return toYaml({
    groups: [
      {
        name: "dynamo",
        rules: alerts.map((alert) => ({
          alert: alert.name,
          expr: expression(alert),
          ...(alert.forSeconds > 0 ? { for: `${alert.forSeconds}s` } : {}),
          labels: { severity: alert.severity, ...alert.labels },
          annotations: { summary: alert.summary, action: alert.action },
        })),
      },
    ],
  });
}

function toYaml(value: unknown): string {
  return stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });
}
