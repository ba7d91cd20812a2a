/**
 * Dashboard of the engine: batches, KV cache, transfer. Each engine has its own series, and says how to draw
 * them.
 */
import { engines, isSimulated } from "../../engines";
import type { EngineSeries, Unit } from "../../engines/series";
import { SERIES, type Series } from "../../plan/metrics/series";
import type { DeploymentPlan } from "../../plan/types";
import { type Dashboard, mean, type Panel, quantile, rate, select, sum } from "./panels";

const WORKER = ["program"];
const legend = "{{program}}";

const max = (series: Series, title: string, unit: Unit): Panel => ({
  title,
  about: series.about,
  unit,
  queries: [{ expr: `max by (program) (${select(series.name)})`, legend }],
  series: [series],
});

/** Panels from Dynamo's metrics common to all real engines. */
const COMMON = [
  max(SERIES.kvUsage, "KV cache in use", "percentunit"),
  max(SERIES.kvBlocks, "KV blocks", "short"),
  max(SERIES.loadTime, "Loading the model", "s"),
];

/** None for a series that only serves another's panel. */
function panelOf({ name, panel }: EngineSeries): Panel[] {
  const series = namedSeries(name);
  if (panel === undefined) return [];
  const { title, unit, draw } = panel;
  const plain = max(series, title, unit);
  if (typeof draw === "object") {
    const whole = namedSeries(draw.shareOf);
    const expr = `${rate(series, WORKER)} / ${rate(whole, WORKER)}`;
    return [{ ...plain, about: draw.about, queries: [{ expr, legend }], series: [series, whole] }];
  }
  if (draw === "max") return [plain];
  return [{ ...plain, queries: [{ expr: EXPRESSIONS[draw](series), legend }] }];
}

const EXPRESSIONS = {
  sum: (series: Series) => sum(series, WORKER),
  rate: (series: Series) => rate(series, WORKER),
  p95: (series: Series) => quantile(0.95, series, WORKER),
  mean: (series: Series) => mean(series, WORKER),
} as const;

function namedSeries(name: string): Series {
  const all: readonly Series[] = Object.values(SERIES);
  const found = all.find((series) => series.name === name);
  if (found === undefined) throw new Error(`no series has the name ${name}`);
  return found;
}

export function engineDashboard({ engine }: Pick<DeploymentPlan, "engine">): Dashboard {
  const panels = [...(isSimulated(engine) ? [] : COMMON), ...engines[engine].series.flatMap(panelOf)];
  return {
    uid: "dynamo-engine",
    title: `Dynamo: engine (${engine})`,
    about: "Inside the engine of each worker: batches, KV cache, transfer between prefill and decode.",
    rows: [{ title: engine, panels }],
  };
}
