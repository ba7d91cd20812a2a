/** Whether a Prometheus reaches every program of a deployment that has metrics. */
import { z } from "zod";
import { JOBS } from "../../plan/metrics/series";
import type { ScrapeTarget } from "../../plan/metrics/targets";
import { readPrometheus } from "./ask";

/** https://prometheus.io/docs/prometheus/latest/querying/api/#targets */
const listingSchema = z.object({
  data: z.object({
    activeTargets: z.array(
      z.object({ health: z.string(), lastError: z.string(), labels: z.record(z.string(), z.string()) }),
    ),
  }),
});
type Listed = z.output<typeof listingSchema>["data"]["activeTargets"][number];

/** A planned program's state in Prometheus. */
export interface TargetState {
  readonly job: string;
  readonly cluster: string;
  readonly node: string;
  readonly program: string;
  /** Why there are no metrics; null if its last scrape succeeded. */
  readonly problem: string | null;
}

/**
 * @param prometheus URL of a Prometheus.
 * @param stack The `deployment` label, which distinguishes targets in your own Prometheus.
 * @throws Error if it does not answer.
 */
export async function targetStates(
  prometheus: string,
  planned: readonly ScrapeTarget[],
  stack: string,
): Promise<TargetState[]> {
  const { data } = listingSchema.parse(await readPrometheus(prometheus, "targets?state=active"));
  return planned.map(({ job, labels }) => {
    const { cluster, node, program } = labels;
    const wanted = { job: JOBS[job], cluster, node, program };
    return { ...wanted, problem: problemOf(data.activeTargets.find(isFor(wanted, stack))) };
  });
}

function isFor(wanted: Readonly<Record<string, string>>, stack: string): (listed: Listed) => boolean {
  return ({ labels }) =>
    (labels["deployment"] ?? stack) === stack &&
    Object.entries(wanted).every(([name, value]) => labels[name] === value);
}

function problemOf(listed: Listed | undefined): string | null {
  if (listed === undefined) return "not scraped";
  if (listed.health === "up") return null;
  return listed.lastError === "" ? `${listed.health}: not scraped yet` : listed.lastError;
}
