/** Whether two runs of the same load differ, given the spread of their repeats. Pure. */
import { counted } from "../../lib/words";
import { METRICS, type Metric, type MetricKey } from "./metrics";
import { leastPValue, pValue, type Spread, type Stratum, spread } from "./statistics";
import type { Point, Summary } from "./summary";

/**
 * Significance level: a difference counts if chance alone would cause it in fewer than one of twenty
 * comparisons.
 */
const LEVEL = 0.05;

/** `b` compared with `a`. */
export type Verdict = "better" | "worse" | "no clear difference" | "too few repeats to tell";

/** Difference of a metric between the runs. */
interface Judgement {
  readonly metric: Metric;
  /** Change of the median, relative to `a`'s; over several numbers of clients the geometric mean. */
  readonly change: number;
  /** Probability of such a difference by chance alone. */
  readonly p: number;
  readonly verdict: Verdict;
}

/** For one number of clients. */
export interface Comparison extends Judgement {
  readonly clients: number;
  readonly a: Spread;
  readonly b: Spread;
}

export interface ComparedRuns {
  /** Over all numbers of clients, one entry per metric. */
  readonly overall: readonly Judgement[];
  readonly comparisons: readonly Comparison[];
  /** Reasons why the two are hard to compare; empty if there are none. */
  readonly cautions: readonly string[];
}

/** @throws Error if the loads differ, so that the metrics cannot be compared. */
export function compareRuns(a: Summary, b: Summary): ComparedRuns {
  const difference = loadDifference(a, b);
  if (difference !== undefined)
    throw new Error(`The two runs had different loads, so they cannot be compared: ${difference}`);
  const pairs = a.points.flatMap((point) => {
    const other = b.points.find(({ clients }) => clients === point.clients);
    return other === undefined ? [] : [{ a: point, b: other }];
  });
  if (pairs.length === 0)
    throw new Error(
      `The two runs have no number of clients in common: ${clientsOf(a)} and ${clientsOf(b)}. Run one again with --clients.`,
    );
  const strata = METRICS.map((metric) => ({
    metric,
    strata: pairs.flatMap((pair) => stratumOf(pair.a, pair.b, metric.key)),
  })).filter((one) => one.strata.length > 0);
  return {
    overall: strata.map((one) => judge(one.metric, one.strata)),
    comparisons: pairs.flatMap(({ a: { clients } }) =>
      strata.flatMap((one) =>
        one.strata
          .filter((stratum) => stratum.clients === clients)
          .map((stratum) => ({
            ...{ clients, a: stratum.spreadA, b: stratum.spreadB },
            ...judge(one.metric, [stratum]),
          })),
      ),
    ),
    cautions: cautions(a, b),
  };
}

/** A metric's values in both runs with one number of clients. */
interface Values extends Stratum {
  readonly clients: number;
  readonly spreadA: Spread;
  readonly spreadB: Spread;
}

function stratumOf(pointA: Point, pointB: Point, key: MetricKey): Values[] {
  const [a, b] = [valuesOf(pointA, key), valuesOf(pointB, key)];
  const [spreadA, spreadB] = [spread(a), spread(b)];
  return spreadA === undefined || spreadB === undefined
    ? []
    : [{ clients: pointA.clients, a, b, spreadA, spreadB }];
}

function judge(metric: Metric, strata: readonly Values[]): Judgement {
  const logs = strata.map(({ spreadA, spreadB }) => Math.log(spreadB.median / spreadA.median));
  const change = Math.exp(logs.reduce((sum, one) => sum + one, 0) / logs.length) - 1;
  const p = pValue(strata);
  return { metric, change, p, verdict: verdictOf(metric, change, p, leastPValue(strata)) };
}

function verdictOf(metric: Metric, change: number, p: number, leastP: number): Verdict {
  if (leastP >= LEVEL) return "too few repeats to tell";
  if (p >= LEVEL || change === 0) return "no clear difference";
  return change > 0 === (metric.better === "higher") ? "better" : "worse";
}

/** The values of a metric, one per run that has it. */
export function valuesOf(point: Point, key: MetricKey): number[] {
  return point.runs.flatMap(({ values }) => values[key] ?? []);
}

function clientsOf(summary: Summary): string {
  return summary.points.map(({ clients }) => clients).join(", ");
}

/** The difference between the requests of two loads; a different number of requests is only a caution. */
function loadDifference(a: Summary, b: Summary): string | undefined {
  const shape = ({ load }: Summary) => {
    const prefix = load.prefix && `${load.prefix.count} beginnings of ${load.prefix.tokens} tokens`;
    return [
      ...(prefix === undefined ? [] : [prefix]),
      `prompts of ${load.prompt.mean} ± ${load.prompt.stddev} tokens`,
      `answers of ${load.answer.mean} ± ${load.answer.stddev}`,
    ].join(", ");
  };
  const [left, right] = [shape(a), shape(b)];
  return left === right ? undefined : `${left} (${a.label}), and ${right} (${b.label}).`;
}

function cautions(a: Summary, b: Summary): string[] {
  const failed = [a, b].flatMap((one) => {
    const errors = one.points.flatMap(({ runs }) => runs).reduce((sum, run) => sum + run.errors, 0);
    return errors === 0
      ? []
      : `${counted(errors, "request")} of ${one.label} failed, and no metric has the time of any.`;
  });
  const differ = <T>(what: string, of: (summary: Summary) => T) =>
    of(a) === of(b) ? [] : [`${what}: ${of(a)} (${a.label}), ${of(b)} (${b.label}).`];
  return [
    ...failed,
    ...differ("Different models", ({ deployment }) => deployment.model),
    ...differ("Different numbers of requests a run", ({ load }) =>
      Math.max(load.leastRequests, load.requestsPerClient),
    ),
    ...differ("Different versions of aiperf", ({ environment }) => environment.aiperf),
    ...differ("Different machines sent the load", ({ environment }) => environment.system),
    ...differ("One engine is simulated, the other is not", ({ deployment }) =>
      String(deployment.isSimulated),
    ),
  ];
}
