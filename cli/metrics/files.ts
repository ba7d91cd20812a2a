/** Files for your own Prometheus and Grafana, by path. Pure. */

import { stringify } from "yaml";
import type { DeploymentConfig } from "../../config/deployment";
import { hasExporters } from "../../config/metrics";
import { dashboardsOf, grafanaJson } from "../../observability/dashboards";
import { alertsOf } from "../../plan/metrics/alerts";
import { RULES_FILE, renderRules, targetGroup } from "../../plan/metrics/prometheus";
import { JOBS } from "../../plan/metrics/series";
import { nodeKey, type ScrapeTarget, scrapeTargets } from "../../plan/metrics/targets";
import type { DeploymentPlan } from "../../plan/types";

/** Addresses of nodes as this Prometheus reaches them, by `cluster/rank`. */
export type Addresses = ReadonlyMap<string, string>;

export interface MetricsFiles {
  /** Contents by path, relative to the directory. */
  readonly files: Readonly<Record<string, string>>;
  /** What is left out and why, one sentence each. */
  readonly notes: readonly string[];
}

/** Nodes with targets but without a known address. */
export function missingAddresses(plan: DeploymentPlan, addresses: Addresses): string[] {
  const keys = plan.clusters.flatMap((cluster) =>
    reachable(scrapeTargets(cluster)).map(({ labels }) => nodeKey(labels.cluster, labels.node)),
  );
  return [...new Set(keys)].filter((key) => !addresses.has(key));
}

/** Targets reachable from other nodes: excludes loopback addresses and Prometheus itself. */
export function reachable(targets: readonly ScrapeTarget[]): ScrapeTarget[] {
  return targets.filter(({ job, host }) => job !== "prometheus" && !host.startsWith("127."));
}

/**
 * @param deployment Value of the `deployment` label, which distinguishes deployments in the dashboards: the
 * stack's name.
 */
export function metricsFiles(
  deployment: string,
  config: DeploymentConfig,
  plan: DeploymentPlan,
  addresses: Addresses,
): MetricsFiles {
  const all = plan.clusters.flatMap(scrapeTargets);
  const targets = reachable(all);
  const jobs = Object.entries(JOBS).filter(([job]) => targets.some((target) => target.job === job));
  const lists = jobs.map(([job, label]) => {
    const groups = targets
      .filter((target) => target.job === job)
      .map((target) => addressed(target, deployment, addresses));
    return [`targets/${label}.json`, `${JSON.stringify(groups, null, 2)}\n`] as const;
  });
  const scrape = jobs.map(([, label]) => ({
    job_name: label,
    file_sd_configs: [{ files: [`targets/${label}.json`] }],
  }));
  const dashboards = dashboardsOf(config, plan).map(
    (dashboard) => [`dashboards/${dashboard.uid}.json`, grafanaJson(dashboard)] as const,
  );
  const notes = notesOf(config, all, targets);
  return {
    files: {
      "README.md": readme(deployment, notes),
      "prometheus.yml": stringify({
        global: { scrape_interval: `${config.metrics.scrapeIntervalSeconds}s` },
        rule_files: [RULES_FILE],
        scrape_configs: scrape,
      }),
      [RULES_FILE]: renderRules(alertsOf(config, plan)),
      ...Object.fromEntries(lists),
      ...Object.fromEntries(dashboards),
    },
    notes,
  };
}

function addressed(target: ScrapeTarget, deployment: string, addresses: Addresses) {
  const host = addresses.get(nodeKey(target.labels.cluster, target.labels.node)) ?? target.host;
  const { targets, labels } = targetGroup({ ...target, host });
  return { targets, labels: { deployment, ...labels } };
}

function notesOf(
  config: DeploymentConfig,
  all: readonly ScrapeTarget[],
  targets: readonly ScrapeTarget[],
): string[] {
  const inner = all.filter(({ job, host }) => job === "frontend" && host.startsWith("127."));
  return [
    ...(hasExporters(config)
      ? []
      : [
          "The deployment has no exporters: nothing is known of restarts, NATS, the gateway and (SGLang) the engine. Set `metrics.exporters` to true.",
        ]),
    ...(inner.length === 0
      ? []
      : [
          "The frontends are behind the gateway, where only their own node reaches them. Set `metrics.prometheus` to true, and let your Prometheus take their series from that one: https://prometheus.io/docs/prometheus/latest/federation/",
        ]),
    ...(targets.length === 0 ? ["Nothing of this deployment can be scraped."] : []),
  ];
}

function readme(deployment: string, notes: readonly string[]): string {
  return `# Metrics of ${deployment}

Written by \`bin/dynamo-sky metrics\`; write it again when the deployment has changed.

1. **Prometheus**: \`prometheus.yml\` is a whole configuration (\`prometheus --config.file=prometheus.yml\` in this directory). For a Prometheus that
   you have, copy \`targets/\` and \`${RULES_FILE}\` beside its configuration, and the entries of \`rule_files\` and \`scrape_configs\` into it.
2. **Grafana**: Dashboards → New → Import, one file of \`dashboards/\` after the other; then choose your Prometheus at the top of each.
3. **Alerts** go wherever your Alertmanager sends them: https://prometheus.io/docs/alerting/latest/configuration/
${notes.map((note) => `\n> ${note}\n`).join("")}`;
}
