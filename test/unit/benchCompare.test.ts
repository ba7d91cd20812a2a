/** Conclusions of `bin/dynamo-sky bench compare`, and the content of the charts. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chartSpec, chartSvg } from "../../cli/bench/charts";
import { type ComparedRuns, compareRuns } from "../../cli/bench/compare";
import type { MetricKey } from "../../cli/bench/metrics";
import { comparisonReport } from "../../cli/bench/report";
import { leastPValue, pValue, spread } from "../../cli/bench/statistics";
import { CLIENTS, summaryOf } from "./benchSummaries";

const overall = ({ overall: all }: ComparedRuns, key: MetricKey) =>
  all.find(({ metric }) => metric.key === key);

describe("the spread", () => {
  it("is median, least and most", () => {
    expect(spread([3, 1, 2])).toEqual({ median: 2, least: 1, most: 3 });
    expect(spread([4, 1, 2, 3])).toEqual({ median: 2.5, least: 1, most: 4 });
    expect(spread([])).toBeUndefined();
  });
});

describe("the rank test", () => {
  // Tables of the exact distribution: https://en.wikipedia.org/wiki/Mann-Whitney_U_test
  it.each([
    [[1, 2, 3, 4], [5, 6, 7, 8], 2 / 70],
    [[1, 2, 3], [4, 5, 6], 2 / 20],
    [[1, 2, 3, 5], [4, 6, 7, 8], 4 / 70],
    [[1, 1, 1], [1, 1, 1], 1],
    [[1], [2], 1],
  ])("of %j and %j is %f", (a, b, p) => expect(pValue([{ a, b }])).toBeCloseTo(p, 10));

  it("counts strata together: three times 2 of 6 ways", () => {
    const apart = { a: [1, 2], b: [3, 4] };
    expect(pValue([apart, apart, apart])).toBeCloseTo(2 / 216, 10);
    expect(pValue([apart, { a: apart.b, b: apart.a }])).toBe(1);
  });

  it("is the same both ways round, at most 1, and where no two are equal no less than the least for its sizes", () => {
    const sample = fc.array(fc.integer({ min: 0, max: 30 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(sample, sample, (a, b) => {
        const p = pValue([{ a, b }]);
        expect(pValue([{ a: b, b: a }])).toBeCloseTo(p, 10);
        expect(p).toBeLessThanOrEqual(1);
        const isDistinct = new Set([...a, ...b]).size === a.length + b.length;
        if (isDistinct) expect(p).toBeGreaterThanOrEqual(leastPValue([{ a, b }]) - 1e-12);
      }),
    );
  });

  it("takes samples of one distribution for different in no more than one of twenty cases", () => {
    // All permutations of eight distinct values: exactly the share given by the level, or less.
    const values = [1, 2, 3, 4, 5, 6, 7, 8];
    const ways = subsets(values, 4).map((a) =>
      pValue([{ a, b: values.filter((value) => !a.includes(value)) }]),
    );
    expect(ways).toHaveLength(70);
    expect(ways.filter((p) => p < 0.05).length / ways.length).toBeLessThanOrEqual(0.05);
    expect(Math.min(...ways)).toBeLessThan(0.05);
  });
});

function subsets(values: readonly number[], count: number): number[][] {
  if (count === 0) return [[]];
  return values.flatMap((value, index) =>
    subsets(values.slice(index + 1), count - 1).map((rest) => [value, ...rest]),
  );
}

describe("comparing two runs", () => {
  it("finds what is worse, and nothing in what is the same", () => {
    const compared = compareRuns(summaryOf("kv", 1), summaryOf("round-robin", 1.5));
    expect(overall(compared, "ttftP50")).toMatchObject({ verdict: "worse" });
    expect(overall(compared, "ttftP50")?.change).toBeCloseTo(0.5, 10);
    expect(overall(compared, "itlP50")).toMatchObject({ verdict: "no clear difference", change: 0, p: 1 });
    expect(
      compared.comparisons.filter(({ metric }) => metric.key === "ttftP50").map(({ clients }) => clients),
    ).toEqual(CLIENTS);
    expect(compared.cautions).toEqual([]);
  });

  it("calls more throughput better, and a shorter time too", () => {
    const faster = compareRuns(summaryOf("a", 1.5), summaryOf("b", 1));
    expect(overall(faster, "ttftP50")?.verdict).toBe("better");
    const b = summaryOf("b", 1);
    const more = {
      ...b,
      points: b.points.map((point) => ({
        ...point,
        runs: point.runs.map((run) => ({ ...run, values: { ...run.values, tokensPerSecond: 1e6 } })),
      })),
    };
    expect(overall(compareRuns(summaryOf("a", 1), more), "tokensPerSecond")?.verdict).toBe("better");
    expect(overall(compareRuns(more, summaryOf("a", 1)), "tokensPerSecond")?.verdict).toBe("worse");
  });

  it("says so when there are too few repeats", () => {
    const compared = compareRuns(summaryOf("a", 1, 1), summaryOf("b", 3, 1));
    expect(overall(compared, "ttftP50")?.verdict).toBe("too few repeats to tell");
    expect(comparisonReport(summaryOf("a", 1, 1), summaryOf("b", 3, 1), compared)).toContain("--repeats 4");
  });

  it("refuses different loads, and runs without a number of clients in common", () => {
    const a = summaryOf("a", 1);
    const longer = { ...a, label: "b", load: { ...a.load, answer: { mean: 999, stddev: 0 } } };
    expect(() => compareRuns(a, longer)).toThrow(/answers of 200 ± 50 \(a\), and .*answers of 999 ± 0 \(b\)/);
    const other = { ...a, points: a.points.map((point) => ({ ...point, clients: point.clients + 1 })) };
    expect(() => compareRuns(a, other)).toThrow("no number of clients in common: 1, 8, 32 and 2, 9, 33");
  });

  it("cautions where something else differs too", () => {
    const a = summaryOf("a", 1);
    const b = {
      ...a,
      label: "b",
      deployment: { ...a.deployment, model: "other", isSimulated: false },
      points: a.points.map((point) => ({ ...point, runs: point.runs.map((run) => ({ ...run, errors: 1 })) })),
    };
    const { cautions } = compareRuns(a, b);
    expect(cautions).toEqual([
      "12 requests of b failed, and no metric has the time of any.",
      "Different models: Qwen/Qwen3-8B (a), other (b).",
      "One engine is simulated, the other is not: true (a), false (b).",
    ]);
    expect(comparisonReport(a, b, compareRuns(a, b))).toContain("- Caution: 12 requests of b failed");
  });

  it("is told with verdicts, ranges and probabilities", () => {
    const [a, b] = [summaryOf("kv", 1), summaryOf("round-robin", 1.5)];
    const report = comparisonReport(a, b, compareRuns(a, b));
    expect(report).toMatch(/^\| TTFT p50, ms +\| worse +\| \+50\.0 % \| < 0\.001 \|$/m);
    expect(report).toMatch(
      /^\| 1 +\| TTFT p50, ms +\| +52\.0 \(50\.0–54\.0\) \| +78\.0 \(75\.0–81\.0\) \| \+50\.0 % \| 0\.029 \|$/m,
    );
  });
});

describe("the charts", () => {
  const kv = summaryOf("kv", 1);
  const roundRobin = summaryOf("round-robin", 1.5);
  const panels = (runs: Parameters<typeof chartSpec>[0]) => {
    const spec = chartSpec(runs);
    return "concat" in spec ? spec.concat : [];
  };

  it("are four, with titles and units, and say that a run is simulated", () => {
    expect(panels([kv])).toHaveLength(4);
    expect(JSON.stringify(chartSpec([kv]))).toContain("SIMULATED by Dynamo's mocker");
    const real = { ...kv, deployment: { ...kv.deployment, isSimulated: false } };
    expect(JSON.stringify(chartSpec([real]))).not.toMatch(/simulated/i);
    const texts = panels([kv]).map((panel) => JSON.stringify(panel));
    expect(texts[0]).toContain('"title":"Time to first token (TTFT)"');
    expect(texts[1]).toContain('"title":"ms"');
    expect(texts[2]).toContain('"title":"output tokens/s"');
    expect(texts[3]).toContain('"title":"tokens/s/simulated GPU"');
  });

  it("hold the medians and their ranges", () => {
    const [ttft] = panels([kv]);
    expect(ttft).toMatchObject({
      data: {
        values: expect.arrayContaining([{ clients: 1, series: "p50", value: 52, least: 50, most: 54 }]),
      },
    });
  });

  it("are logarithmic where values are far apart", () => {
    const far = {
      ...kv,
      points: kv.points.map((point, index) => ({
        ...point,
        runs: point.runs.map((run) => ({ ...run, values: { ...run.values, ttftP99: 50 * 100 ** index } })),
      })),
    };
    expect(JSON.stringify(panels([far])[0])).toContain('"type":"log","base":10');
    expect(JSON.stringify(panels([kv])[0])).not.toContain('"base":10');
  });

  it("take all tokens together where a run's GPUs are not known", () => {
    const { gpus: _, ...deployment } = kv.deployment;
    expect(JSON.stringify(panels([{ ...kv, deployment }])[3])).toContain("all together");
  });

  it("become the same SVG every time, with a line for each run", async () => {
    const svg = await chartSvg([kv, roundRobin]);
    expect(svg).toMatch(/^<svg [^>]*viewBox=/);
    for (const text of [
      "kv and round-robin: load chat",
      "round-robin",
      "concurrent clients",
      "Pareto curve",
    ]) {
      expect(svg).toContain(text);
    }
    expect(svg).not.toContain("NaN");
    expect(await chartSvg([kv, roundRobin])).toBe(svg);
  });
});
