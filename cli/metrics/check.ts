/**
 * `bin/dynamo-sky metrics --check`: which metrics of a deployment a Prometheus has, and which are missing.
 */
import type { DeploymentConfig } from "../../config/deployment";
import { SERIES, type Series, whyAbsent } from "../../plan/metrics/series";
import type { ScrapeTarget } from "../../plan/metrics/targets";
import type { DeploymentPlan } from "../../plan/types";
import { type Answer, ask, questionsOf } from "./ask";
import { type TargetState, targetStates } from "./targets";

/** Result of the check. */
export interface MetricsCheck {
  readonly targets: readonly TargetState[];
  readonly answers: readonly Answer[];
  /** Series that this deployment does not export, by reason. */
  readonly absent: ReadonlyMap<string, readonly string[]>;
}

/** The stack to check. */
export interface CheckedStack {
  readonly stack: string;
  readonly config: DeploymentConfig;
  readonly plan: DeploymentPlan;
  /** The targets that this Prometheus can reach. */
  readonly targets: readonly ScrapeTarget[];
}

/**
 * Checks every planned target, and every query of every dashboard and alert.
 * @param prometheus Its URL, without a trailing slash.
 * @throws Error if it does not answer.
 */
export async function checkMetrics(
  prometheus: string,
  { stack, config, plan, targets }: CheckedStack,
  signal: AbortSignal,
): Promise<MetricsCheck> {
  const states = await targetStates(prometheus, targets, stack);
  const answers: Answer[] = [];
  for (const question of questionsOf(config, plan)) {
    signal.throwIfAborted();
    answers.push(await ask(prometheus, question));
  }
  return { targets: states, answers, absent: absentSeries(plan) };
}

function absentSeries(plan: DeploymentPlan): Map<string, string[]> {
  const all: readonly Series[] = Object.values(SERIES);
  const reasons = new Map<string, string[]>();
  for (const { onceHappened: _, ...series } of all) {
    const reason = whyAbsent(series, plan);
    if (reason !== undefined) reasons.set(reason, [...(reasons.get(reason) ?? []), series.name]);
  }
  return reasons;
}

const hasAnswer = ({ error, values }: Answer) => error === undefined && values.length > 0;

/** Whether every target is scraped and every query has a result. */
export function isComplete({ targets, answers }: MetricsCheck): boolean {
  return targets.every(({ problem }) => problem === null) && answers.every(hasAnswer);
}

/** For programs; `--help` documents the fields. */
export function asJson({ targets, answers, absent }: MetricsCheck): object {
  const failed = answers.filter(({ error }) => error !== undefined).length;
  const answered = answers.filter(hasAnswer).length;
  return {
    targets,
    answered,
    empty: answers.length - answered - failed,
    failed,
    // JSON has no NaN: there is no data yet to compute a value from.
    questions: answers.map(({ source, expr, values, error }) => ({
      source,
      expr,
      values,
      error: error ?? null,
    })),
    absent: [...absent].map(([reason, series]) => ({ reason, series })),
  };
}

/** Lines for users. */
export function asText(check: MetricsCheck): string[] {
  const { targets, answers, absent } = check;
  const [names, sources] = [
    targets.map(({ job, program, cluster, node }) => `${job}: ${program} on node ${node} of ${cluster}`),
    answers.map(({ source }) => source),
  ];
  const width = Math.max(0, ...[...names, ...sources].map((name) => name.length));
  const up = targets.filter(({ problem }) => problem === null).length;
  return [
    ...targets.map(({ problem }, index) => row(names[index] ?? "", problem ?? "up")),
    "",
    ...answers.map((answer) => row(answer.source, shown(answer))),
    "",
    `${up} of ${targets.length} targets are up.`,
    `${answers.filter(hasAnswer).length} of ${answers.length} queries have an answer.`,
    ...[...absent].map(([reason, series]) => `Not asked, ${reason}: ${series.join(", ")}`),
  ];

  function row(name: string, value: string): string {
    return `${name.padEnd(width)}  ${value}`;
  }
}

const MOST_SHOWN = 4;

function shown({ values, error }: Answer): string {
  if (error !== undefined) return error;
  if (values.length === 0) return "NO ANSWER";
  const some = values
    .slice(0, MOST_SHOWN)
    .map((value) => (Number.isNaN(value) ? "nothing yet" : String(Number(value.toPrecision(3)))));
  const more = values.length > MOST_SHOWN ? ` and ${values.length - MOST_SHOWN} more` : "";
  return `${some.join(", ")}${more}`;
}
