/** What waves of load did to a deployment. Pure. */
import type { Sample } from "./observer";
import { percentile } from "./timing";

/** One answered or failed request, as AIPerf has recorded it. */
export interface WaveRequest {
  /** Unix time, seconds. */
  readonly at: number;
  readonly ttftMs: number | undefined;
}

/** One wave, measured. */
export interface Wave {
  readonly name: string;
  readonly clients: number;
  readonly requests: readonly WaveRequest[];
  readonly errors: number;
  /** Unix times, seconds. */
  readonly from: number;
  readonly to: number;
}

/** Numbers of a wave. "Before" and "after" is the time at which its workers were as many as they became. */
export function rowOf(wave: Wave, samples: readonly Sample[]) {
  const within = samples.filter(({ at }) => at >= wave.from && at <= wave.to);
  const counts = within.map(({ workers }) => workers);
  const [first = 0] = counts;
  const most = Math.max(first, ...counts);
  const grown = most > first ? within.find(({ workers }) => workers === most)?.at : undefined;
  const p95 = (requests: readonly WaveRequest[]) =>
    percentile(
      requests.flatMap(({ ttftMs }) => ttftMs ?? []),
      0.95,
    );
  return {
    wave: wave.name,
    clients: wave.clients,
    requests: wave.requests.length,
    lost: wave.errors,
    workersAtFirst: first,
    workersAtMost: most,
    workersInTheEnd: counts.at(-1) ?? 0,
    queuedAtMost: Math.max(0, ...within.map(({ queued }) => queued)),
    grownAfterSeconds: grown === undefined ? undefined : grown - wave.from,
    ttftP95BeforeMs: p95(wave.requests.filter(({ at }) => grown === undefined || at < grown)),
    ttftP95AfterMs: grown === undefined ? undefined : p95(wave.requests.filter(({ at }) => at >= grown)),
  };
}
