/** Runs all queries of a deployment's dashboards and alerts against a Prometheus. */

import { z } from "zod";
import type { DeploymentConfig } from "../../config/deployment";
import { dashboardsOf, VARIABLES } from "../../observability/dashboards";
import { alertsOf } from "../../plan/metrics/alerts";
import type { Series } from "../../plan/metrics/series";
import type { DeploymentPlan } from "../../plan/types";

/** One query and its source. */
export interface Question {
  /**
   * `Dynamo: service › Throughput: written`, with the curve's name if there are several; or the name of an
   * alert.
   */
  readonly source: string;
  readonly expr: string;
  readonly series: readonly Series[];
}

/** Every query of every dashboard, and the value of every alert. */
export function questionsOf(config: DeploymentConfig, plan: DeploymentPlan): Question[] {
  const panels = dashboardsOf(config, plan).flatMap(({ title, rows }) =>
    rows.flatMap((row) =>
      row.panels.flatMap((panel) =>
        panel.queries.map(({ expr, legend }) => ({
          source: `${title} › ${panel.title}${panel.queries.length > 1 ? `: ${legend}` : ""}`,
          expr: filledIn(expr, config),
          series: panel.series,
        })),
      ),
    ),
  );
  const alerts = alertsOf(config, plan).map(({ name, value, series }) => ({
    source: name,
    expr: value,
    series,
  }));
  return [...panels, ...alerts];
}

/**
 * Replaces Grafana's variables: all deployments, and four scrape intervals, but at least five minutes, since
 * etcd writes rarely.
 */
function filledIn(expr: string, { metrics }: DeploymentConfig): string {
  const interval = `${Math.max(300, 4 * metrics.scrapeIntervalSeconds)}s`;
  return expr.replaceAll(VARIABLES.deployment, ".*").replaceAll(VARIABLES.interval, interval);
}

const answerSchema = z.object({
  status: z.string(),
  error: z.string().optional(),
  data: z
    .object({
      result: z.array(
        z.object({ metric: z.record(z.string(), z.string()), value: z.tuple([z.number(), z.string()]) }),
      ),
    })
    .optional(),
});

export interface Answer extends Question {
  /** A value for each combination of labels; NaN if there is no data to compute it from. */
  readonly values: readonly number[];
  /** Prometheus's error for the query. */
  readonly error?: string;
}

const ASK_SECONDS = 10;

/**
 * @param prometheus URL of a Prometheus, such as `http://127.0.0.1:9090`.
 * @throws Error if it does not answer.
 */
export async function ask(prometheus: string, question: Question): Promise<Answer> {
  const query = new URLSearchParams({ query: question.expr });
  const { error, data } = answerSchema.parse(await readPrometheus(prometheus, "query", query));
  const values = (data?.result ?? []).map(({ value }) => Number(value[1]));
  return { ...question, values, ...(error === undefined ? {} : { error }) };
}

/**
 * Response of a path of Prometheus's API.
 * @param body Sent by POST. Default: GET.
 * @throws Error if no Prometheus answers.
 */
export async function readPrometheus(
  prometheus: string,
  path: string,
  body?: URLSearchParams,
): Promise<unknown> {
  const how = body === undefined ? {} : { method: "POST", body };
  try {
    const signal = AbortSignal.timeout(ASK_SECONDS * 1000);
    return await (await fetch(`${prometheus}/api/v1/${path}`, { ...how, signal })).json();
  } catch (cause) {
    throw new Error(`No Prometheus answers at ${prometheus}.`, { cause });
  }
}
