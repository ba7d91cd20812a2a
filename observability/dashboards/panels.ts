/**
 * Building blocks of all dashboards: panels with Prometheus queries, a common style, and the choice of
 * deployment.
 */

import {
  GraphThresholdsStyleConfigBuilder,
  GraphThresholdsStyleMode,
  LegendDisplayMode,
  LegendPlacement,
} from "@grafana/grafana-foundation-sdk/common";
import {
  DashboardBuilder,
  DashboardCursorSync,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  VariableRefresh,
} from "@grafana/grafana-foundation-sdk/dashboard";
import { DataqueryBuilder } from "@grafana/grafana-foundation-sdk/prometheus";
import { PanelBuilder as StatBuilder } from "@grafana/grafana-foundation-sdk/stat";
import { PanelBuilder as TimeseriesBuilder } from "@grafana/grafana-foundation-sdk/timeseries";
import type { Unit } from "../../engines/series";
import type { Series } from "../../plan/metrics/series";

/** One curve, or one for each combination of labels. */
export interface Query {
  readonly expr: string;
  /** Name of the curve; `{{label}}` is replaced by a label's value. */
  readonly legend: string;
}

/** One panel. */
export interface Panel {
  readonly title: string;
  /** Description: what it shows and what to look for. */
  readonly about: string;
  readonly unit: Unit;
  /** A number at the top of a dashboard, or curves. Default: curves. */
  readonly kind?: "stat";
  readonly queries: readonly Query[];
  /** The series used by its queries. */
  readonly series: readonly Series[];
  /** Threshold for a warning. */
  readonly limit?: number;
}

export interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

export interface Dashboard {
  /** Stable: an import replaces the dashboard with the same uid. */
  readonly uid: string;
  readonly title: string;
  readonly about: string;
  readonly rows: readonly Row[];
}

/** Variables in queries, filled in by Grafana. */
export const VARIABLES = {
  /** The chosen deployment; a label of the targets written by `bin/dynamo-sky metrics`. */
  deployment: "$deployment",
  /**
   * Suitable for rates: https://grafana.com/docs/grafana/latest/datasources/prometheus/template-variables/
   */
  interval: "$__rate_interval",
} as const;

type Labels = Readonly<Record<string, string>>;

/** Selects a series of the chosen deployment. Values of labels are regular expressions. */
export function select(name: string, labels: Labels = {}): string {
  const all = Object.entries({ ...labels, deployment: VARIABLES.deployment });
  return `${name}{${all.map(([label, value]) => `${label}=~"${value}"`).join(",")}}`;
}

/** Sum of a series' rates, by labels. */
export function rate(series: Series, by: readonly string[] = [], labels: Labels = {}): string {
  return `sum${grouped(by)}(rate(${select(series.name, labels)}[${VARIABLES.interval}]))`;
}

/** Sum of a gauge, by labels. */
export function sum(series: Series, by: readonly string[] = [], labels: Labels = {}): string {
  return `sum${grouped(by)}(${select(series.name, labels)})`;
}

/** Mean of a histogram's observations, by labels. */
export function mean({ name }: Series, by: readonly string[] = []): string {
  const part = (suffix: string) =>
    `sum${grouped(by)}(rate(${select(`${name}${suffix}`)}[${VARIABLES.interval}]))`;
  return `${part("_sum")} / ${part("_count")}`;
}

/** A quantile of a histogram, by labels. */
export function quantile(q: number, { name }: Series, by: readonly string[] = []): string {
  const buckets = select(`${name}_bucket`);
  return `histogram_quantile(${q}, sum by (${["le", ...by].join(", ")}) (rate(${buckets}[${VARIABLES.interval}])))`;
}

/** Median, 95th and 99th percentile. */
export function quantiles(series: Series): Query[] {
  return [0.5, 0.95, 0.99].map((q) => ({ expr: quantile(q, series), legend: `p${q * 100}` }));
}

function grouped(by: readonly string[]): string {
  return by.length === 0 ? "" : ` by (${by.join(", ")}) `;
}

const WIDTH = 24;
const DATASOURCE = { type: "prometheus", uid: "$datasource" };
/** Three columns of curves, and their height, in Grafana's grid. */
const CURVES = { span: 8, height: 8 };
const STAT_HEIGHT = 4;

/**
 * The dashboard as JSON for Grafana:
 * https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
 */
export function grafanaJson(dashboard: Dashboard): string {
  const { uid, title, about, rows } = dashboard;
  const builder = new DashboardBuilder(title)
    .uid(uid)
    .description(about)
    .tags(["dynamo"])
    .readonly()
    .tooltip(DashboardCursorSync.Crosshair)
    .refresh("30s")
    .time({ from: "now-1h", to: "now" })
    .withVariable(new DatasourceVariableBuilder("datasource").label("Prometheus").type("prometheus"))
    .withVariable(deploymentVariable());
  for (const row of rows) {
    builder.withRow(new RowBuilder(row.title));
    for (const panel of row.panels) builder.withPanel(built(panel, row));
  }
  return `${JSON.stringify(numbered(builder.build()), null, 2)}\n`;
}

function deploymentVariable() {
  return (
    new QueryVariableBuilder("deployment")
      .label("Deployment")
      .datasource(DATASOURCE)
      .query("label_values(up, deployment)")
      .refresh(VariableRefresh.OnTimeRangeChanged)
      .includeAll(true)
      // Includes series without this label: the deployment's own Prometheus has only one deployment.
      .allValue(".*")
      .current({ text: "All", value: "$__all", selected: true })
  );
}

/** Panels need unique ids, or a link to one opens another. */
function numbered(dashboard: ReturnType<DashboardBuilder["build"]>) {
  return { ...dashboard, panels: dashboard.panels?.map((panel, index) => ({ ...panel, id: index + 1 })) };
}

function built(panel: Panel, row: Row) {
  if (panel.kind === "stat") {
    const stats = row.panels.filter(({ kind }) => kind === "stat").length;
    const builder = new StatBuilder().span(Math.floor(WIDTH / stats)).height(STAT_HEIGHT);
    return withQueries(builder, panel).thresholds(thresholds(panel.limit));
  }
  const legend = { displayMode: LegendDisplayMode.Table, placement: LegendPlacement.Bottom };
  const builder = new TimeseriesBuilder()
    .span(CURVES.span)
    .height(CURVES.height)
    .min(0)
    .fillOpacity(10)
    .legend({ build: () => ({ ...legend, showLegend: true, calcs: ["lastNotNull", "max"] }) });
  const filled = withQueries(builder, panel);
  if (panel.limit === undefined) return filled;
  const line = new GraphThresholdsStyleConfigBuilder().mode(GraphThresholdsStyleMode.Dashed);
  return filled.thresholds(thresholds(panel.limit)).thresholdsStyle(line);
}

function withQueries<B extends StatBuilder | TimeseriesBuilder>(builder: B, panel: Panel): B {
  builder.title(panel.title).description(panel.about).unit(panel.unit).datasource(DATASOURCE);
  for (const [index, { expr, legend }] of panel.queries.entries()) {
    const query = new DataqueryBuilder()
      .refId(String.fromCharCode(65 + index))
      .expr(expr)
      .legendFormat(legend);
    builder.withTarget(panel.kind === "stat" ? query.instant() : query.range());
  }
  return builder;
}

/** Green, and red from the limit on. */
function thresholds(limit: number | undefined): ThresholdsConfigBuilder {
  const red = limit === undefined ? [] : [{ value: limit, color: "red" }];
  return new ThresholdsConfigBuilder()
    .mode(ThresholdsMode.Absolute)
    .steps([{ value: null, color: "green" }, ...red]);
}
