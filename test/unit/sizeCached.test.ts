/**
 * Shared prefixes in `size`: answers of Dynamo's real replay and of the real AIConfigurator, recorded by
 * `npx tsx dev/recordSizes.ts`.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { type CacheRecord, type CacheSources, withCaches } from "../../cli/size/cached";
import { asJson, drawTable, layoutText } from "../../cli/size/draw";
import { prefixLoadOf } from "../../cli/size/prefixes";
import type { Replayed } from "../../cli/size/replay";
import { size } from "../../cli/size/size";
import { stackText } from "../../cli/size/stackFile";
import { realEngines } from "../../engines";
import { packageRoot } from "../../lib/root";
import { sizeOptions, sizeRecords } from "./sizeAsked";

const RECORD = join(packageRoot(), "test", "unit", "aiconfigurator", "caches", "qwen3-8b-16-shared.json");
const record = JSON.parse(readFileSync(RECORD, "utf8")) as CacheRecord;
const { sharedPrefix, prefixes } = record;
const [engine = ""] = realEngines();
const options = sizeOptions({ engine: [engine], price: ["2.5"], sharedPrefix, prefixes });

/** Whoever asks something else than what was recorded gets no answer. */
const recorded: CacheSources = {
  replay: async (question) => {
    expect(question).toEqual(record.replayQuestion);
    return record.replayed;
  },
  estimates: async (questions) => {
    expect(questions).toEqual(record.estimateQuestions);
    return record.estimated;
  },
  say: () => undefined,
};

/** The rows that were recorded, in their order without caches. */
async function rows() {
  const said = sizeRecords.find(
    ({ question: { model, need, pairs, curve } }) =>
      model === options.model && "gpus" in need && need.gpus === 16 && pairs[0]?.backend === engine && !curve,
  )?.said;
  if (said === undefined) throw new Error("not recorded");
  const sources = { predict: async () => said, costs: async () => undefined, say: () => undefined };
  return (await size(options, sources)).layouts.slice(0, record.replayQuestion.layouts.length);
}

async function cached(sources: Partial<CacheSources> = {}) {
  const load = prefixLoadOf(options);
  if (load === undefined) throw new Error("no prefixes");
  return withCaches(await rows(), { load, options }, { ...recorded, ...sources });
}

describe("shared prefixes, as recorded", () => {
  it("are found in more caches with the KV-aware router, which decides on the order", async () => {
    const { layouts } = await cached();
    // A worker on one GPU has no room for all of them.
    const small = layouts.find((layout) => layoutText(layout) === "16 × TP1");
    const { roundRobin, kv } = small?.cached ?? {};
    if (roundRobin === undefined || kv === undefined) throw new Error("not simulated");
    expect(kv.share).toBeGreaterThan(2 * roundRobin.share);
    expect(kv.tokensPerSecondPerGpu).toBeGreaterThan(roundRobin.tokensPerSecondPerGpu ?? Number.NaN);
    // Dollars an hour for the tokens of an hour, by hand.
    const tokens = (kv.tokensPerSecondPerGpu ?? 0) * 16 * 3600;
    expect(kv.dollarsPerMillionTokens).toBeCloseTo((40 / tokens) * 1e6, 6);
    const dollars = layouts.map((layout) => layout.cached?.kv.dollarsPerMillionTokens ?? Number.NaN);
    expect(dollars).toEqual(dollars.toSorted((a, b) => a - b));
    expect(new Set(layouts.map(layoutText))).toEqual(new Set((await rows()).map(layoutText)));
  });

  it("are columns of the table that are named a simulation, and members of the JSON", async () => {
    const { layouts, notes } = await cached();
    const lines = drawTable(layouts).split("\n");
    expect(lines[0]).toContain("sim. hits RR | sim. hits KV | sim. tokens/s/GPU RR | sim. tokens/s/GPU KV |");
    expect(new Set(lines.map((line) => line.length)).size).toBe(1);
    expect(drawTable(await rows())).not.toContain("sim.");
    expect(notes[0]).toMatch(
      /^sim\.: a simulation by Dynamo [\d.]+'s offline replay.*one of 200 prefixes of 3,500 tokens; counted are /,
    );
    expect(notes.filter((note) => /^sim\. cache, tokens \(AIConfigurator /.test(note))).toHaveLength(1);
    const [first] = layouts.map((one) => asJson(one, () => "1")) as {
      readonly cached: { readonly kv: { readonly share: number } };
    }[];
    expect(first?.cached.kv.share).toBe(layouts[0]?.cached?.kv.share);
  });

  it("put the KV-aware router into the stack, with the reason", async () => {
    const [layout] = (await cached()).layouts;
    if (layout?.cached === undefined) throw new Error("not simulated");
    const text = stackText(layout, options, { rank: 1, of: 4, deployed: "1.2.3" });
    expect(text).toContain("KV-aware, because prompts begin with one of 200 prefixes of 3,500 tokens.");
    expect(text).toMatch(
      /A simulation by Dynamo .*: a cache has [\d.]+ % of their tokens, with round robin /,
    );
    const comments = text.split("\n").filter((line) => line.startsWith("#"));
    expect(comments.filter((line) => line.length > 132)).toEqual([]);
    const { config } = parse(text) as { readonly config: Readonly<Record<string, unknown>> };
    expect(config["dynamo-sky:router"]).toEqual({ mode: "kv" });
    const { cached: _cached, ...unseen } = layout;
    expect(stackText(unseen, options, { rank: 9, of: 20, deployed: "1" })).toContain("was not simulated");
    const plain = sizeOptions({ engine: [engine] });
    expect(stackText(layout, plain, { rank: 1, of: 4, deployed: "1" })).toContain("without shared prefixes");
  });

  it("leave a layout last that Dynamo or AIConfigurator says nothing of, with the reason", async () => {
    const [, ...replayed] = record.replayed.layouts;
    const broken: Replayed = { ...record.replayed, layouts: [{ problem: "too large" }, ...replayed] };
    const estimates = async () => [
      { problem: "no data" },
      ...record.estimated.slice(2, record.replayed.layouts.length),
    ];
    const { layouts, notes } = await cached({ replay: async () => broken, estimates });
    expect(layouts.at(-1)?.cached).toBeUndefined();
    expect(layouts.at(-2)?.cached?.kv).toMatchObject({ tokensPerSecondPerGpu: null, ttft: null });
    expect(notes.filter((note) => note.endsWith(", not simulated: too large"))).toHaveLength(1);
    expect(notes.filter((note) => note.endsWith("AIConfigurator says with a cache: no data"))).toHaveLength(
      1,
    );
    expect(drawTable(layouts).split("\n").at(-1)).toMatch(/(\| +– ){6}\|$/);
  });

  it("say whose cache it is where AIConfigurator does not tell", async () => {
    const load = prefixLoadOf(options);
    if (load === undefined) throw new Error("no prefixes");
    const layouts = (await rows()).map((layout) => ({
      ...layout,
      roles: layout.roles.map(({ kvTokens: _, ...role }) => role),
    }));
    const replay: CacheSources["replay"] = async ({ layouts: asked }) => {
      expect(asked[0]?.roles[0]?.kvTokens).toBeNull();
      return record.replayed;
    };
    const { notes } = await withCaches(layouts, { load, options }, { ...recorded, replay });
    expect(notes.filter((note) => note.startsWith("sim. cache, tokens (Dynamo's default)"))).toHaveLength(1);
  });

  it("cannot be simulated where Dynamo can be neither found nor installed: what to do is said at once", () => {
    const arguments_ = ["--model", "m/m", "--gpus", "8", "--shared-prefix", "8", "--prefixes", "1"];
    const { status, stdout, stderr } = spawnSync(
      join(packageRoot(), "bin", "dynamo-sky"),
      ["size", ...arguments_],
      { encoding: "utf8", timeout: 60_000, env: { ...process.env, XDG_CACHE_HOME: "/dev/null/none" } },
    );
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toMatch(
      /The offline replay of Dynamo .* does not run here: (.|\n)*leave out --shared-prefix/,
    );
    expect(stderr).not.toContain(" on H100 …");
  });

  it("leave a rate at its price, of which the fewest GPUs and the most room come first", async () => {
    const asked = sizeOptions({ gpus: undefined, rate: "10", price: ["2.5"], sharedPrefix, prefixes });
    const load = prefixLoadOf(asked);
    if (load === undefined) throw new Error("no prefixes");
    const { layouts } = await withCaches(await rows(), { load, options: asked }, recorded);
    const dollars = layouts.map(({ cached }) => cached?.kv.dollarsPerMillionTokens);
    // By hand: 40 / (10 × 500 × 3600) × 1,000,000, whatever is in a cache.
    expect(new Set(dollars).size).toBe(1);
    expect(dollars[0]).toBeCloseTo(40 / 18, 9);
    const room = layouts.map(({ cached }) => cached?.kv.requestsPerSecond ?? 0);
    expect(room).toEqual(room.toSorted((a, b) => b - a));
  });

  it("are asked of nobody where there is no layout", async () => {
    const load = prefixLoadOf(options);
    if (load === undefined) throw new Error("no prefixes");
    const nobody = async () => Promise.reject(new Error("asked"));
    const sources = { ...recorded, replay: nobody, estimates: nobody };
    expect(await withCaches([], { load, options }, sources)).toEqual({ layouts: [], notes: [] });
  });
});
