/** `bin/dynamo-sky metrics --check`: what a Prometheus has of a deployment, and what it lacks. */
import type { DeploymentConfig } from "../../plan/config";
import { SERIES, type Series, whyAbsent } from "../../plan/metrics/series";
import type { ScrapeTarget } from "../../plan/metrics/targets";
import type { DeploymentPlan } from "../../plan/types";
import { type Answer, ask, questionsOf } from "./ask";
import { type TargetState, targetStates } from "./targets";

/** What was found. */
export interface MetricsCheck {
  readonly targets: readonly TargetState[];
  readonly answers: readonly Answer[];
  /** Series that this deployment cannot have, by the reason. */
  readonly absent: ReadonlyMap<string, readonly string[]>;
}

/** What is looked at. */
export interface CheckedStack {
  readonly stack: string;
  readonly config: DeploymentConfig;
  readonly plan: DeploymentPlan;
  /** The targets that the Prometheus in question can reach. */
  readonly targets: readonly ScrapeTarget[];
}

/**
 * Asks a Prometheus for every target of the plan, and every query of every dashboard and alert.
 * @param prometheus Its URL, without a slash at the end.
 * @throws Error when it does not answer.
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

/** Whether every target is scraped and every query has an answer. */
export function isComplete({ targets, answers }: MetricsCheck): boolean {
  return targets.every(({ problem }) => problem === null) && answers.every(hasAnswer);
}

/** For programs; `--help` names the fields. */
export function asJson({ targets, answers, absent }: MetricsCheck): object {
  const failed = answers.filter(({ error }) => error !== undefined).length;
  const answered = answers.filter(hasAnswer).length;
  return {
    targets,
    answered,
    empty: answers.length - answered - failed,
    failed,
    // JSON has no NaN: nothing has happened yet that could be measured.
    questions: answers.map(({ source, expr, values, error }) => ({
      source,
      expr,
      values,
      error: error ?? null,
    })),
    absent: [...absent].map(([reason, series]) => ({ reason, series })),
  };
}

/** Lines for a person. */
export function asText(check: MetricsCheck): string[] {
  const { targets, answers, absent } = check;
  const [names, askers] = [
    targets.map(({ job, program, cluster, node }) => `${job}: ${program} on node ${node} of ${cluster}`),
    answers.map(({ source }) => source),
  ];
  const width = Math.max(0, ...[...names, ...askers].map((name) => name.length));
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
