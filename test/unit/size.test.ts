/** Answers of the real AIConfigurator, recorded by `npx tsx dev/recordSizes.ts`, and random ones. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { command } from "../../cli/commands/size";
import { planStack } from "../../cli/plannedStack";
import { aiconfiguratorRequirements, type Said } from "../../cli/size/aiconfigurator";
import { chartSpec } from "../../cli/size/chart";
import { asJson, drawTable, layoutText, money } from "../../cli/size/draw";
import { type Candidate, isRefused, layoutOf, priced } from "../../cli/size/layouts";
import type { Written } from "../../cli/size/options";
import { ranked } from "../../cli/size/order";
import type { Costs } from "../../cli/size/prices";
import { questionOf, size } from "../../cli/size/size";
import { stackText } from "../../cli/size/stackFile";
import { svgOf } from "../../cli/vega";
import { ConfigError } from "../../config/problems";
import { VERSIONS } from "../../config/versions";
import { SIZED_MODELS } from "../../dev/sizeRecords";
import { realEngines } from "../../engines";
import { parseConfig } from "../../plan/config";
import type { DeploymentCost } from "../../plan/cost";
import { plan } from "../../plan/plan";
import { SERVICES } from "./planShapes";
import { configIn, sizeOptions as options, sizeRecords, recordedSources as sources } from "./sizeAsked";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "dynamo-sky-size-"));
  writeFileSync(join(directory, "Pulumi.yaml"), "name: sized\nruntime: nodejs\n");
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const RECORDED = realEngines();

/** What SkyPilot says of one node. */
function costOf(dollars: number | null): DeploymentCost {
  const price = { dollarsPerHour: dollars, mostDollarsPerHour: dollars };
  const machines = { name: "main", gpus: 8, infra: "gcp/us-central1", instanceType: "a3-highgpu-8g" };
  return { gpus: 8, ...price, clusters: [{ ...machines, ...price }] };
}

describe("what AIConfigurator has said", () => {
  it("becomes layouts for all GPUs, the cheapest tokens first", async () => {
    const { layouts } = await size(options({ engine: RECORDED, price: ["2.5"] }), sources);
    expect(layouts.length).toBeGreaterThan(10);
    const [best] = layouts;
    if (best === undefined) throw new Error("no layout");
    expect(`${best.engine} ${layoutText(best)}`).toBe("sglang 8 × TP2");
    expect(Math.round(best.tokensPerSecondPerGpu)).toBe(1786);
    expect(best.dollarsPerHour).toBe(40);
    // By hand: 40 / (1786.2 × 16 × 3600) × 1,000,000.
    expect(best.dollarsPerMillionTokens).toBeCloseTo(0.389, 3);
    // By three digits: sizeOrder.test.ts.
    const tokens = layouts.map((layout) => Number((layout.tokensPerSecondPerGpu * 16).toPrecision(3)));
    expect(tokens).toEqual(tokens.toSorted((a, b) => b - a));
    expect(layouts.map(({ gpus, nodes }) => [gpus, nodes])).toEqual(layouts.map(() => [16, 2]));
  });

  it("keeps the promise, and says why something is not offered", async () => {
    const { layouts, notes } = await size(options({ engine: ["sglang"] }), sources);
    for (const { ttft, tpot } of layouts) {
      expect(ttft).toBeLessThanOrEqual(1000);
      expect(tpot).toBeLessThanOrEqual(20);
    }
    expect(notes.filter((note) => note.includes("context parallelism"))).not.toEqual([]);
    expect(notes.filter((note) => note.includes("no price: say --price"))).toHaveLength(1);
    expect(layouts.every(({ dollarsPerHour }) => dollarsPerHour === null)).toBe(true);
    expect(layouts.some(({ roles }) => roles.some(({ cp }) => cp > 1))).toBe(false);
  });

  it("is priced by SkyPilot where an infra is named", async () => {
    const known = costOf(88.25);
    const { clusters } = known;
    const none = {
      ...costOf(null),
      clusters: [{ ...clusters[0], unknown: "SkyPilot's catalog has no spot" }],
    };
    const spot = none as DeploymentCost;
    const costs: Costs = async (deployments) => {
      expect(deployments.map(({ sky, cluster }) => [...sky.infra, cluster.accelerator])).toEqual(
        Array(2).fill(["gcp", "H100"]),
      );
      return deployments.map(({ sky }) => (sky.useSpot ? spot : { ...known, clusters }));
    };
    const asked = options({ engine: ["sglang"], infra: ["gcp"] });
    const { layouts, notes } = await size(asked, { ...sources, costs });
    const [best] = layouts;
    expect([best?.nodes, best?.dollarsPerHour, best?.spotDollarsPerHour]).toEqual([2, 176.5, null]);
    expect(notes).toContain("H100: price of a3-highgpu-8g in gcp/us-central1, by SkyPilot");
    expect(notes).toContain("H100, spot: no price: SkyPilot's catalog has no spot");
    expect(drawTable(layouts)).not.toContain("spot $/h");
  });

  it("has the price of spot machines beside it", async () => {
    const costs: Costs = async (deployments) =>
      deployments.map(({ sky }) => costOf(sky.useSpot ? 34 : 88.25));
    const asked = options({ engine: ["sglang"], infra: ["gcp"], price: ["2.5"] });
    const { layouts } = await size(asked, { ...sources, costs });
    const [best] = layouts;
    if (best === undefined) throw new Error("no layout");
    // A price of the user's own is before SkyPilot's, which alone has one of spot machines.
    expect([best.dollarsPerHour, best.spotDollarsPerHour]).toEqual([40, 68]);
    expect(best.spotDollarsPerMillionTokens).toBeCloseTo((68 / 40) * 0.389, 2);
    const [heads = "", , first = ""] = drawTable(layouts).split("\n");
    expect(heads).toMatch(/spot \$\/h \| spot \$\/M \|$/);
    expect(first).toMatch(/\| +68\.00 \| +0\.66 \|$/);
  });

  it("asks for no spot instances of an infra that has none", async () => {
    const spots: boolean[] = [];
    const costs: Costs = async (deployments) => {
      spots.push(...deployments.map(({ sky }) => sky.useSpot));
      return undefined;
    };
    const asked = options({ engine: ["sglang"], infra: ["slurm/lab"] });
    const { layouts, notes } = await size(asked, { ...sources, costs });
    expect(new Set(spots)).toEqual(new Set([false]));
    expect(layouts.length).toBeGreaterThan(0);
    expect(notes).toContainEqual(expect.stringMatching(/^H100: no price: .*say --price/));
    expect(notes).not.toContainEqual(expect.stringContaining("spot"));
  });

  it("does not ask of accelerators that no infra has, and says so where there is none at all", async () => {
    const refusal = (accelerator: string) =>
      new ConfigError([{ path: ["cluster", "accelerator"], message: `no ${accelerator} in gcp` }]);
    const costs: Costs = async (deployments) =>
      deployments.map(({ cluster, sky }) =>
        cluster.accelerator === "H100" && !sky.useSpot ? costOf(88.25) : refusal(cluster.accelerator),
      );
    const asked = options({ engine: ["sglang"], infra: ["gcp"], accelerator: ["H100", "L40S"] });
    const { layouts, notes } = await size(asked, { ...sources, costs });
    expect(new Set(layouts.map(({ accelerator }) => accelerator))).toEqual(new Set(["H100"]));
    expect(notes.filter((note) => note.startsWith("L40S: no price: "))).toHaveLength(1);
    const nowhere = options({ engine: ["sglang"], infra: ["gcp"], accelerator: ["L40S"] });
    await expect(size(nowhere, { ...sources, costs })).rejects.toThrow(/^L40S: no price: .*no L40S in gcp/);
  });

  it("is told where no layout keeps the promise", async () => {
    const problems = ["agg: no layout within the promise on these GPUs"];
    const answer = { backend: "sglang", system: "h100_sxm", version: null, layouts: [], curve: [], problems };
    const predict = async (): Promise<Said> => ({ known: [], moe: false, answers: [answer] });
    const { layouts, notes } = await size(options({ engine: ["sglang"] }), { ...sources, predict });
    expect(layouts).toEqual([]);
    expect(notes).toEqual([`sglang on H100: ${problems[0]}`]);
  });

  it("is printed as JSON with both versions of the engine, and the help names every member", async () => {
    const [layout] = (await size(options({ engine: ["sglang"] }), sources)).layouts;
    if (layout === undefined) throw new Error("no layout");
    const said = asJson(layout, (engine) => `${engine}'s`);
    expect(said).toMatchObject({ version: "0.5.14", deployedVersion: "sglang's", concurrency: 512 });
    expect(asJson(layout, () => undefined)).toMatchObject({ deployedVersion: null });
    const help = command.options.find(({ long }) => long === "--json")?.description ?? "";
    const [, members = ""] = /layouts:\[\{(.*)\}\]/.exec(help) ?? [];
    const named = members.split(",").filter((name) => name !== "cached?");
    expect(named.toSorted()).toEqual(Object.keys(said).toSorted());
    for (const name of ["version", "concurrency", "tokensPerSecondPerUser"])
      expect(help).toContain(`${name}: `);
  });

  it.each([
    [null, "–"],
    [40, "40.00"],
    [0.389, "0.39"],
    [0.0996, "0.10"],
    [0.0541, "0.054"],
    [0.00406, "0.0041"],
  ])("is priced so that small amounts are no zero: %s", (dollars, text) => {
    expect(money(dollars)).toBe(text);
  });

  it("is drawn as a table of equal columns", async () => {
    const { layouts } = await size(options({ engine: ["sglang"], price: ["2.5"] }), sources);
    const lines = drawTable(layouts).split("\n");
    expect(lines).toHaveLength(layouts.length + 2);
    expect(new Set(lines.map((line) => line.length)).size).toBe(1);
    expect(lines[2]).toMatch(/^\| +1 \| sglang \| H100 +\| 8 × TP2 +\| +16 \| +2 \| +1,786 \|/);
  });
});

describe("a load", () => {
  const loaded = (load: Partial<Written>) =>
    options({ ...load, gpus: undefined, engine: ["vllm"], price: ["2.5"] });
  const isWhole = (gpus: number) => [1, 2, 4].includes(gpus) || gpus % 8 === 0;

  it("in requests a second is carried by the cheapest layout within the promise", async () => {
    const { layouts } = await size(loaded({ rate: "30" }), sources);
    expect(layouts.length).toBeGreaterThan(3);
    for (const { requestsPerSecond, ttft, tpot, gpus, plan: planned } of layouts) {
      expect(requestsPerSecond).toBeGreaterThanOrEqual(30);
      expect(ttft).toBeLessThanOrEqual(1000);
      expect(tpot).toBeLessThanOrEqual(20);
      expect(gpus).toSatisfy(isWhole);
      const idle = planned.clusters.flatMap(({ nodes }) => nodes.flatMap(({ idleGpus }) => idleGpus));
      expect(idle).toEqual([]);
    }
    const dollars = layouts.map(({ dollarsPerHour }) => dollarsPerHour ?? 0);
    expect(dollars).toEqual(dollars.toSorted((a, b) => a - b));
    // Eight GPUs give 28.2 requests/s at most, so there are 16: 40 / (30 × 500 × 3600) × 1,000,000 by hand.
    expect(layouts[0]?.gpus).toBe(16);
    const perMillion = (dollars: number) => (dollars / (30 * 500 * 3600)) * 1e6;
    expect(perMillion(40)).toBeCloseTo(0.74, 2);
    for (const { dollarsPerHour, dollarsPerMillionTokens } of layouts)
      expect(dollarsPerMillionTokens).toBeCloseTo(perMillion(dollarsPerHour ?? 0), 12);
  });

  it("in requests at a time is carried by what answers them as fast as they come", async () => {
    const { layouts } = await size(loaded({ concurrency: "300" }), sources);
    expect(layouts.length).toBeGreaterThan(3);
    for (const { requestsPerSecond, ttft, tpot } of layouts)
      expect(requestsPerSecond).toBeGreaterThanOrEqual(300 / ((ttft + tpot * 499) / 1000) - 1e-9);
    // Clients of a faster layout ask more, so that a dearer hour may make cheaper tokens.
    const dollars = layouts.map(({ dollarsPerMillionTokens }) => dollarsPerMillionTokens ?? 0);
    expect(dollars).toEqual(dollars.toSorted((a, b) => a - b));
    const [first] = layouts;
    const seconds = ((first?.ttft ?? 0) + (first?.tpot ?? 0) * 499) / 1000;
    const tokens = (300 / seconds) * 500 * 3600;
    expect(dollars[0]).toBeCloseTo(((first?.dollarsPerHour ?? 0) / tokens) * 1e6, 9);
  });

  it("is named in the stack that carries it", async () => {
    const asked = loaded({ rate: "30" });
    const [layout] = (await size(asked, sources)).layouts;
    if (layout === undefined) throw new Error("no layout");
    const text = stackText(layout, asked, { rank: 1, of: 5, deployed: "1.2.3" });
    expect(text).toContain("number 1 of the 5 layouts that it offers for 30 requests/s.");
    const only = stackText(layout, options({ gpus: "1" }), { rank: 1, of: 1, deployed: "1.2.3" });
    expect(only).toContain("`dynamo-sky size`: the only layout that it offers for 1 GPU.");
    expect(plan(parseConfig(configIn(text)), SERVICES)).toEqual(layout.plan);
  });
});

describe("the picture", () => {
  const asked = () => options({ engine: ["vllm"], price: ["2.5"], chart: join(directory, "new.svg") });

  it("has the layouts of which none is both faster and cheaper, and the promise", async () => {
    const { curve } = await size(asked(), sources);
    const { data } = chartSpec(curve, asked()) as unknown as { readonly data: { readonly values: Point[] } };
    expect(data.values.length).toBeGreaterThan(10);
    for (const [index, point] of data.values.entries()) {
      const before = data.values[index - 1];
      if (before === undefined) continue;
      expect(point.across).toBeGreaterThan(before.across);
      expect(point.dollars).toBeGreaterThanOrEqual(before.dollars);
    }
    // Faster and slower than the promise of 20 ms, which is 50 tokens/s.
    expect(data.values.some(({ across }) => across < 50)).toBe(true);
    expect(data.values.some(({ across }) => across > 100)).toBe(true);
  });

  it("is the same SVG each time, with its axes named", async () => {
    const { curve } = await size(asked(), sources);
    const svg = await svgOf(chartSpec(curve, asked()));
    expect(svg).toBe(await svgOf(chartSpec(curve, asked())));
    for (const text of ["tokens/s per user", "US dollars per million", "20 ms for each token", "8 × TP2"])
      expect(svg).toContain(text);
  });
});

interface Point {
  readonly across: number;
  readonly dollars: number;
}

describe("a written stack", () => {
  it.each(SIZED_MODELS.flatMap(({ model, tpot, gpus }) => gpus.map((count) => ({ model, tpot, count }))))(
    "is accepted by plan as it is, for all layouts of $model on $count GPUs",
    async (sized) => {
      const { model, count } = sized;
      const asked = options({ model, gpus: String(count), tpot: String(sized.tpot), engine: RECORDED });
      const { layouts } = await size(asked, sources);
      expect(layouts.length).toBeGreaterThan(RECORDED.length);
      layouts.forEach((layout, index) => {
        const told = { rank: index + 1, of: layouts.length, deployed: "1.2.3" };
        writeFileSync(join(directory, `Pulumi.n${index}.yaml`), stackText(layout, asked, told));
        const { config, plan: planned } = planStack(`n${index}`, directory);
        expect(planned).toEqual(layout.plan);
        const nodes = planned.clusters.flatMap((cluster) => cluster.nodes);
        expect(nodes.flatMap(({ idleGpus }) => idleGpus)).toEqual([]);
        expect(layout.gpus).toBe(count);
        expect(config.pools.map(({ replicas }) => replicas)).toEqual(
          layout.roles.map(({ replicas }) => replicas),
        );
      });
    },
  );

  it("says why it was chosen, what is predicted, and of which version", async () => {
    const asked = options({ engine: ["sglang"], price: ["2.5"] });
    const [layout] = (await size(asked, sources)).layouts;
    if (layout === undefined) throw new Error("no layout");
    const text = stackText(layout, asked, { rank: 1, of: 12, deployed: "1.2.3" });
    for (const part of ["number 1 of the 12", "1786 tokens/s per GPU", "$40.00 an hour", "0.5.14", "1.2.3"])
      expect(text).toContain(part);
    const comments = text.split("\n").filter((line) => line.startsWith("#"));
    expect(comments.every((line) => line.length <= 132)).toBe(true);
  });

  it("says, as the notes do, that it asks for no KV cache of fp8, where one was predicted", async () => {
    const asked = options({ model: "deepseek-ai/DeepSeek-R1", gpus: "32", tpot: "40", engine: ["vllm"] });
    const { layouts, notes } = await size(asked, sources);
    const said = notes.filter((note) => note.includes("KV cache"));
    expect(said).toEqual([
      expect.stringMatching(/^vllm on H100: predicted with a KV cache of fp8, which the/),
    ]);
    const [layout] = layouts;
    if (layout === undefined) throw new Error("no layout");
    const text = stackText(layout, asked, { rank: 1, of: 12, deployed: "1.2.3" });
    expect(text).toContain("# Nothing here asks for a KV cache of fp8: ");
    const comments = text.split("\n").filter((line) => line.startsWith("#"));
    expect(comments.filter((line) => line.length > 132)).toEqual([]);
    const usual = await size(options({ engine: ["vllm"] }), sources);
    expect(usual.notes.filter((note) => note.includes("KV cache"))).toEqual([]);
  });

  const parts = fc.constantFrom(1, 2, 4, 8, 16);
  const role = fc.record({
    ...{ replicas: fc.integer({ min: 1, max: 16 }), tp: parts, dp: parts, pp: fc.constantFrom(1, 1, 2) },
    ...{ moeTp: parts, moeEp: parts, cp: fc.constantFrom(1, 1, 1, 2), batch: fc.nat(512) },
    quantization: fc.constant({ gemm: "fp8", kvcache: "bfloat16", moe: "fp8" }),
  });
  const candidate = fc
    .record({
      ...{ engine: fc.constantFrom(...realEngines()), moe: fc.boolean(), first: role, second: role },
      ...{
        disagg: fc.boolean(),
        ttft: fc.integer({ min: 1, max: 1000 }),
        tpot: fc.integer({ min: 1, max: 20 }),
      },
      tokensPerSecondPerGpu: fc.integer({ min: 1, max: 9000 }),
    })
    .map(({ first, second, disagg, ...rest }): Candidate => {
      const both = [
        { ...first, role: "prefill" as const },
        { ...second, role: "decode" as const },
      ];
      const roles = disagg ? both : [{ ...first, role: "aggregated" as const }];
      const numbers = { tokensPerSecondPerUser: 50, requestsPerSecond: 10, concurrency: 8, version: "1" };
      return { ...rest, ...numbers, accelerator: "H100", mode: disagg ? "disagg" : "agg", roles };
    });

  it("is accepted by plan and leaves no GPU idle, whatever was predicted", () => {
    let accepted = 0;
    fc.assert(
      fc.property(candidate, (one) => {
        const taken = one.roles.reduce((sum, { replicas, tp, dp, pp }) => sum + replicas * tp * dp * pp, 0);
        // Of those that nobody can ask for, as many as there may be: they leave some idle, or are too few.
        const count = taken <= 8 || (taken % 8 === 0 && taken <= 1024) ? taken : 16;
        const asked = options({ gpus: String(count) });
        const layout = layoutOf(one, asked);
        if (isRefused(layout)) return;
        accepted++;
        expect(layout.gpus).toBe(count);
        const [row] = ranked([priced(layout, { onDemand: null, spot: null }, asked)], asked);
        if (row === undefined) throw new Error("lost");
        const written = configIn(stackText(row, asked, { rank: 1, of: 1, deployed: "2" }));
        const planned = plan(parseConfig(written), SERVICES);
        expect(planned).toEqual(layout.plan);
        const idle = planned.clusters.flatMap(({ nodes }) => nodes.flatMap(({ idleGpus }) => idleGpus));
        expect(idle).toEqual([]);
      }),
      { numRuns: 250 },
    );
    expect(accepted).toBeGreaterThan(20);
  });
});

describe("AIConfigurator", () => {
  it("is installed from exact packages with hashes, in the version of config/versions.ts", () => {
    const requirements = readFileSync(aiconfiguratorRequirements(), "utf8");
    const packages = requirements.split(/\n(?! )/).filter((entry) => entry.trim() !== "");
    expect(packages.filter((entry) => !/^[\w.[\]-]+==\S+.* \\\n +--hash=sha256:/.test(entry))).toEqual([]);
    expect(requirements).not.toMatch(/https?:|index-url|find-links/);
    expect(requirements).toContain(`aiconfigurator==${VERSIONS.aiconfigurator} \\\n    --hash=sha256:`);
    const wanted = readFileSync(aiconfiguratorRequirements().replace(/\.txt$/, ".in"), "utf8");
    expect(wanted).toContain(`\naiconfigurator==${VERSIONS.aiconfigurator}\n`);
  });

  it("is asked in milliseconds, by its own names", () => {
    const { question } =
      sizeRecords.find(
        ({ question: { model, pairs } }) => model === "Qwen/Qwen3-8B" && pairs[0]?.backend === "sglang",
      ) ?? {};
    expect(questionOf(options(), "sglang", "H100")).toEqual(question);
  });
});
