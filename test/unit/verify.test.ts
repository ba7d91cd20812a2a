import { describe, expect, it } from "vitest";
import type { Served } from "../../cli/proof";
import { atLeast, judge, type PrefixGroup } from "../../cli/verify/judge";
import { asJson, asText } from "../../cli/verify/report";

function served(worker: string, hitRate: number | undefined, more: Partial<Served> = {}): Served {
  return {
    requestId: "r",
    promptTokens: 700,
    prefillWorker: worker,
    decodeWorker: worker,
    prefillProgram: undefined,
    decodeProgram: undefined,
    hitRate: hitRate ?? 0,
    countsCache: hitRate !== undefined,
    cachedBlocks: undefined,
    ...more,
  };
}

/** One group per list of workers; all but the first request find their prefix. */
const groupsOf = (hitRate: number | undefined, ...workers: string[][]): PrefixGroup[] =>
  workers.map((group) => ({
    requests: group.map((worker, index) =>
      served(worker, index === 0 && hitRate !== undefined ? 0 : hitRate),
    ),
  }));

const aware = groupsOf(0.97, ["a", "a", "a"], ["b", "b", "b"], ["a", "a", "a"], ["b", "b", "b"]);

describe("the verdict on a router", () => {
  it("is yes when requests go where their beginning is, and that is no chance", () => {
    const verdict = judge(aware, 2);
    expect(verdict).toMatchObject({ cacheAware: true, followUps: 8, held: 8, workers: 2 });
    expect(verdict.chance).toBeCloseTo(1 / 256);
    expect(verdict.reason).toBe(
      "8 of 8 requests went to the worker that holds their beginning, and found it there; by chance among 2 workers: 0.39 %.",
    );
  });

  it("is no when the router counts no cache at all, even if every request keeps its worker", () => {
    const verdict = judge(groupsOf(undefined, ["a", "a", "a"], ["b", "b", "b"]), 2);
    expect(verdict.cacheAware).toBe(false);
    expect(verdict.reason).toContain("does not look at caches");
  });

  it("is no when requests go elsewhere", () => {
    const verdict = judge(groupsOf(0.97, ["a", "b", "a"], ["b", "a", "b"]), 2);
    expect(verdict).toMatchObject({ cacheAware: false, held: 0, followUps: 4 });
    expect(verdict.reason).toContain("Only 0 of 4 requests");
  });

  it("is no when the worker is kept but nothing is found in its cache: events that do not arrive", () => {
    expect(judge(groupsOf(0, ["a", "a", "a"], ["b", "b", "b"]), 2)).toMatchObject({
      cacheAware: false,
      held: 0,
    });
  });

  it("is no when as much could be chance", () => {
    const verdict = judge(groupsOf(0.97, ["a", "a"], ["b", "b"]), 2);
    expect(verdict.cacheAware).toBe(false);
    expect(verdict.reason).toContain("by chance (25 %)");
  });

  it("says that one worker leaves nothing to choose", () => {
    const verdict = judge(groupsOf(0.97, ["a", "a", "a"]), 1);
    expect(verdict).toMatchObject({ cacheAware: true, chance: 1 });
    expect(verdict.reason).toContain("Only one worker");
  });

  it("takes the attention groups of one worker apart", () => {
    const requests = [0, 1, 0].map((prefillRank) => served("a", 0.97, { prefillRank }));
    expect(judge([{ requests }], 1)).toMatchObject({ cacheAware: false, held: 0 });
  });

  it("tells when prompt and answer are computed by different workers", () => {
    const requests = [served("a", 0, { decodeWorker: "d" }), served("a", 0.97, { decodeWorker: "d" })];
    expect(judge([{ requests }], 1).disaggregated).toBe(true);
    expect(judge(aware, 2).disaggregated).toBe(false);
  });
});

describe("the probability of hits by chance", () => {
  it.each([
    [0, 10, 0.5, 1],
    [10, 10, 0.5, 1 / 1024],
    [1, 2, 0.5, 0.75],
    [2, 2, 0.25, 0.0625],
  ])("of at least %d of %d with %d is %d", (hits, tries, probability, expected) => {
    expect(atLeast(hits, tries, probability)).toBeCloseTo(expected, 10);
  });
});

describe("the report", () => {
  const requests = [
    served("17", 0, { prefillProgram: "prefill-1", decodeProgram: "decode-0", cachedBlocks: 0 }),
    served("17", 0.98, { prefillProgram: "prefill-1", decodeProgram: "decode-0", cachedBlocks: 45 }),
    served("18", 0.5, { prefillRank: 3 }),
  ];

  it("is a table of who did what, and a verdict", () => {
    expect(asText([{ requests }], judge([{ requests }], 1))).toBe(
      [
        "prefix  request  prefill    decode    cached",
        "1       1        prefill-1  decode-0  0 blocks, 0 % of 700 tokens",
        "1       2        prefill-1  decode-0  45 blocks, 98 % of 700 tokens",
        "1       3        18 rank 3  18        50 % of 700 tokens",
        "",
        "Routing is not cache-aware. Only 1 of 2 requests went to the worker that holds their beginning and found it there. If none did, the workers' KV events do not reach the router, or its block size is not theirs.",
        "",
      ].join("\n"),
    );
  });

  it("has every request in JSON, with ids of all digits", () => {
    const parsed: unknown = JSON.parse(asJson([{ requests }], judge([{ requests }], 1)));
    expect(parsed).toMatchObject({
      cacheAware: false,
      workers: 1,
      requests: [
        { prefix: 0, request: 0 },
        { prefix: 0, request: 1, cachedBlocks: 45, prefillWorker: "17" },
        { prefillRank: 3 },
      ],
    });
  });
});
