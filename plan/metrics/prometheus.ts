/** Targets and alerts → Prometheus's own files. Pure. https://prometheus.io/docs/prometheus/latest/configuration/configuration/ */
import { stringify } from "yaml";
import { type Alert, expression } from "./alerts";
import { JOBS } from "./series";
import type { ScrapeTarget } from "./targets";

/** Name of the rules' file, beside `prometheus.yml`. */
export const RULES_FILE = "rules.yml";

/** One entry of a target list, in Prometheus's words. */
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
}

/** `prometheus.yml`. */
export function renderPrometheus({ scrapeIntervalSeconds, targets }: PrometheusSettings): string {
  const interval = `${scrapeIntervalSeconds}s`;
  return toYaml({
    // A time-out may not be longer than the interval.
    global: {
      scrape_interval: interval,
      scrape_timeout: `${Math.min(10, scrapeIntervalSeconds)}s`,
      evaluation_interval: interval,
    },
    rule_files: [RULES_FILE],
    scrape_configs: scrapeConfigs(targets),
  });
}

/** One job for each kind of program. */
export function scrapeConfigs(targets: readonly ScrapeTarget[]): unknown[] {
  return Object.entries(JOBS).flatMap(([job, label]) => {
    const mine = targets.filter((target) => target.job === job);
    return mine.length === 0 ? [] : [{ job_name: label, static_configs: mine.map(targetGroup) }];
  });
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
