import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  between,
  type Histogram,
  quantile,
  SERIES,
  samplesOf,
  together,
  totalsOf,
  trafficOf,
} from "../../cli/status/metrics";

/** Lines of Dynamo 1.4.2's frontend, shortened. */
function metrics(requests: number, failed: number, ttft: readonly [number, number, number]): string[] {
  const [fast, slow, all] = ttft;
  return [
    `# HELP dynamo_frontend_requests_total Total number of LLM requests processed`,
    `dynamo_frontend_requests_total{endpoint="chat_completions",error_type="",model="Qwen/Qwen3-8B",request_type="stream",status="success"} ${requests}`,
    `dynamo_frontend_requests_total{endpoint="chat_completions",error_type="internal",model="Qwen/Qwen3-8B",request_type="unary",status="error"} ${failed}`,
    `dynamo_frontend_time_to_first_token_seconds_bucket{model="Qwen/Qwen3-8B",le="0"} 0`,
    `dynamo_frontend_time_to_first_token_seconds_bucket{model="Qwen/Qwen3-8B",le="0.1"} ${fast}`,
    `dynamo_frontend_time_to_first_token_seconds_bucket{model="Qwen/Qwen3-8B",le="0.2"} ${slow}`,
    `dynamo_frontend_time_to_first_token_seconds_bucket{model="Qwen/Qwen3-8B",le="+Inf"} ${all}`,
    `dynamo_frontend_time_to_first_token_seconds_sum{model="Qwen/Qwen3-8B"} 1.5`,
    `dynamo_frontend_output_tokens_total{model="Qwen/Qwen3-8B"} ${requests * 10}`,
    `dynamo_frontend_inflight_requests{model="Qwen/Qwen3-8B"} 2`,
    `dynamo_component_router_kv_hit_rate_sum{dynamo_component="backend",worker_id="6a"} ${requests / 2}`,
    `dynamo_component_router_kv_hit_rate_count{dynamo_component="backend",worker_id="6a"} ${requests}`,
  ];
}

const totals = (...args: Parameters<typeof metrics>) => totalsOf(samplesOf(metrics(...args)));

describe("Prometheus' text", () => {
  it("is read with labels that hold anything, and infinite bounds", () => {
    expect(
      samplesOf([`a_bucket{le="+Inf",path="x\\"y,}\\n\\\\"} 4 1700000000`, "b 1e-3", "", "# TYPE b gauge"]),
    ).toEqual([
      { name: "a_bucket", labels: { le: "+Inf", path: 'x"y,}\n\\' }, value: 4 },
      { name: "b", labels: {}, value: 0.001 },
    ]);
  });

  it("is asked for by names that every line that is read begins with", () => {
    const read = metrics(1, 0, [1, 1, 1]).filter((line) => SERIES.some((name) => line.startsWith(name)));
    expect(totalsOf(samplesOf(read))).toEqual(totals(1, 0, [1, 1, 1]));
  });
});

describe("what a frontend has done", () => {
  it("counts requests, those that failed, tokens and hits", () => {
    const traffic = trafficOf(totals(8, 2, [4, 8, 8]));
    expect(traffic).toMatchObject({ requests: 10, failed: 2, outputTokens: 80, cacheHitRate: 0.5 });
    expect(traffic.ttft?.p50).toBeCloseTo(0.1);
    expect(traffic.ttft?.p95).toBeCloseTo(0.19);
    expect(traffic.itl).toBeNull();
  });

  it("is told apart from what it did before", () => {
    const change = trafficOf(between(totals(8, 2, [4, 8, 8]), totals(12, 2, [4, 12, 12])));
    expect(change).toMatchObject({ requests: 4, failed: 0, outputTokens: 40, cacheHitRate: 0.5 });
    expect(change.ttft?.p50).toBeCloseTo(0.15);
  });

  it("counts from zero after a restart", () => {
    expect(trafficOf(between(totals(100, 0, [90, 90, 90]), totals(3, 0, [3, 3, 3])))).toMatchObject({
      requests: 3,
    });
  });

  it("adds up over several frontends", () => {
    const both = together([totals(8, 2, [4, 8, 8]), totals(2, 0, [0, 2, 2])]);
    expect(both).toMatchObject({ requests: 12, inflight: 4, hits: { sum: 5, count: 10 } });
    expect(both.ttft).toEqual([
      { le: 0, count: 0 },
      { le: 0.1, count: 4 },
      { le: 0.2, count: 10 },
      { le: Number.POSITIVE_INFINITY, count: 10 },
    ]);
  });

  it("has no hit rate where the router counts none", () => {
    const without = metrics(3, 0, [3, 3, 3]).filter((line) => !line.includes("kv_hit_rate"));
    expect(trafficOf(totalsOf(samplesOf(without))).cacheHitRate).toBeNull();
  });
});

describe("a quantile", () => {
  const histograms = fc
    .array(fc.nat({ max: 50 }), { minLength: 2, maxLength: 12 })
    .map((counts): Histogram => {
      let sum = 0;
      return counts.map((count, index) => {
        sum += count;
        return { le: index === counts.length - 1 ? Number.POSITIVE_INFINITY : index * 0.1, count: sum };
      });
    });

  it("lies within the bounds, and never falls with a higher one", () => {
    fc.assert(
      fc.property(histograms, fc.double({ min: 0.01, max: 0.99, noNaN: true }), (histogram, q) => {
        const value = quantile(histogram, q);
        if ((histogram.at(-1)?.count ?? 0) === 0) return value === undefined;
        const higher = quantile(histogram, 1) ?? Number.NaN;
        return value !== undefined && value >= 0 && value <= higher && value <= (histogram.at(-2)?.le ?? 0);
      }),
    );
  });
});
