/** The prediction beside what `bench` measures, from AIConfigurator's recorded answers. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Asked, predictionOf, questionOf } from "../../cli/bench/prediction";
import { predicted } from "../../cli/bench/predictor";
import { runReport } from "../../cli/bench/report";
import type { Prediction, Summary } from "../../cli/bench/summary";
import { targetOf } from "../../cli/bench/target";
import type { Estimate, Estimated } from "../../cli/size/aiconfigurator";
import { realEngines, SIMULATED } from "../../engines";
import { parseConfig } from "../../plan/config";
import { type DeployedLayout, deployedLayout } from "../../plan/outputs";
import { stackOutputs } from "../outputs";
import { summaryOf } from "./benchSummaries";

interface Recorded {
  readonly target: { readonly engine: string; readonly layout: DeployedLayout; readonly gpus: number };
  readonly measured: Pick<Summary, "load" | "points">;
  readonly asked: Asked;
  readonly said: Estimated;
}

const DIRECTORY = join(__dirname, "aiconfigurator", "estimates");
const recorded = (name: string) =>
  JSON.parse(readFileSync(join(DIRECTORY, `${name}.json`), "utf8")) as Recorded;
const names = readdirSync(DIRECTORY).map((file) => file.replace(/\.json$/, ""));

type Predicted = Extract<Prediction, { by: string }>;

function whole(prediction: Prediction | undefined): Predicted {
  if (prediction === undefined || "missing" in prediction) throw new Error(JSON.stringify(prediction));
  return prediction;
}

function predictionIn(name: string): Predicted {
  const { asked, said, measured, target } = recorded(name);
  return whole(predictionOf(asked, said, measured, target.gpus));
}

const rounded = ({ points }: Predicted) =>
  points.map(({ clients, values = {} }) => [
    clients,
    ...[values.tokensPerSecondPerGpu, values.ttftP50].map((value = 0) => Math.round(value)),
    Number((values.itlP50 ?? 0).toFixed(1)),
  ]);

describe("a prediction", () => {
  it.each(names)("is asked for as it was when it was recorded: %s", (name) => {
    const { target, measured, asked } = recorded(name);
    expect(questionOf(target, measured)).toEqual(asked);
  });

  it("is that of docs/benchmarks.md for two H200", () => {
    const aggregated = predictionIn("h200-aggregated");
    expect(aggregated).toMatchObject({ layout: "2 × TP1", accelerator: "H200", isl: 4000, osl: 500 });
    expect(rounded(aggregated).slice(2)).toEqual([
      [8, 618, 192, 5.9],
      [16, 1038, 213, 7.2],
      [32, 1584, 254, 9.6],
      [64, 2092, 340, 14.8],
      [128, 2480, 416, 25.3],
    ]);
    const disaggregated = predictionIn("h200-disaggregated");
    expect(disaggregated.layout).toBe("prefill 1 × TP1, decode 1 × TP1");
    expect(rounded(disaggregated)).toEqual([
      [16, 943, 184, 7.8],
      [64, 1918, 184, 15.4],
      [128, 2203, 184, 25.5],
    ]);
  });

  it("of clients that cannot be divided evenly lies between its neighbours", () => {
    const { said } = recorded("h200-aggregated");
    const [one, two] = (said.estimates ?? []) as readonly Estimate[];
    const [alone, three] = predictionIn("h200-aggregated").points;
    if (one === undefined || two === undefined) throw new Error("not recorded");
    // One replica has a client, the other none; then one has two, the other one.
    expect(alone?.values?.tokensPerSecond).toBeCloseTo(one.tokensPerSecond / 2, 6);
    expect(alone?.values?.ttftP50).toBeCloseTo(one.ttft, 6);
    expect(three?.values?.tokensPerSecond).toBeCloseTo((one.tokensPerSecond + two.tokensPerSecond) / 2, 6);
    expect(three?.values?.itlP50).toBeCloseTo((one.tpot + 2 * two.tpot) / 3, 6);
  });

  it("shares any number of clients among any number of groups", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 1, max: 64 }), (clients, replicas) => {
        const { target, measured } = recorded("h200-aggregated");
        const pools = target.layout.pools.map((pool) => ({ ...pool, replicas }));
        const points = [{ clients, runs: [] }];
        const asked = questionOf(
          { ...target, layout: { ...target.layout, pools } },
          { ...measured, points },
        ) as Asked;
        // Workers that give each of their clients a token a second: together as many as there are clients.
        const estimates = asked.question.loads.map(({ batch }) => ({
          ...{ ttft: batch, tpot: 1, tokensPerSecond: batch * replicas, requestsPerSecond: 1 },
        }));
        const [point] = whole(predictionOf(asked, { version: "1", estimates }, { points }, 1)).points;
        expect(point?.values?.tokensPerSecond).toBeCloseTo(clients, 6);
        expect(point?.values?.itlP50).toBeCloseTo(1, 9);
      }),
    );
  });

  it("is of the prompts that were measured, and takes shared beginnings from a cache", () => {
    const { target } = recorded("h200-aggregated");
    const { load, points } = summaryOf("x", 1);
    const shared = { ...load, prefix: { count: 8, tokens: 300 } };
    expect(questionOf(target, { load: shared, points })).toMatchObject({
      question: { loads: [{ isl: 500, osl: 200, prefix: 300, batch: 1 }, {}, {}] },
    });
  });

  it("is said to be missing for a load that does not fit, and stays for the others", () => {
    const [first, second] = predictionIn("deepseek-r1-16").points;
    expect(first?.values?.tokensPerSecondPerGpu).toBeGreaterThan(1);
    expect(second).toMatchObject({ clients: 4096, problem: expect.stringMatching(/^OOM: /) });
  });
});

describe("no prediction", () => {
  const { target, measured } = recorded("h200-aggregated");
  const [pool] = target.layout.pools;
  if (pool === undefined) throw new Error("not recorded");
  const withPools = (...pools: readonly Partial<typeof pool>[]) => ({
    ...target,
    layout: { ...target.layout, pools: pools.map((one) => ({ ...pool, ...one })) },
  });

  it.each([
    ["a simulated engine", { ...target, engine: SIMULATED }, "whose times are not those of GPUs"],
    ["outputs of an earlier version", { ...target, layout: undefined }, "`up` adds it"],
    ["GPUs without a name", withPools({ accelerator: undefined }), "do not name the GPUs"],
    ["GPUs that were never measured", withPools({ accelerator: "V100" }), "has not measured V100, but H100"],
    ["two kinds of GPUs", withPools({ role: "prefill" }, { role: "decode", accelerator: "L4" }), "H200, L4"],
    ["workers for pictures", withPools({}, { role: "encode" }), "encode workers"],
    ["two pools of a role", withPools({}, { tensorParallel: 2 }), "several pools of one role"],
    ["workers that are asleep", withPools({ replicas: 0 }), "no workers now"],
  ] as const)("for %s, with the reason", (_, of, why) => {
    expect(questionOf(of, measured)).toEqual({ missing: expect.stringContaining(why) });
  });

  it.each([
    ["were measured", { points: [{ clients: 8, runs: [{ answerTokens: 1.2 }] }] }],
    ["were asked for", { load: { ...measured.load, answer: { mean: 1, stddev: 0 } } }],
  ])("for answers of one token, as they %s", (_, of) => {
    const given = { ...measured, ...of } as typeof measured;
    expect(questionOf(target, given)).toEqual({
      missing: "the answers have 1 token in the mean, and AIConfigurator counts those after the first",
    });
    const run = { answerTokens: 1.6 };
    const longer = { ...measured, points: [{ clients: 8, runs: [run] }] } as unknown as typeof measured;
    expect(questionOf(target, longer)).toMatchObject({ question: { loads: [{ osl: 2 }] } });
  });

  it("for a model that AIConfigurator does not know, and where it has no figure", () => {
    const { asked } = recorded("h200-aggregated");
    const of = (said: Estimated) => predictionOf(asked, said, measured, 2);
    expect(of({ problem: "gone" })).toEqual({
      missing: "AIConfigurator does not know the model Qwen/Qwen3-8B: gone",
    });
    const estimates = asked.question.loads.map(() => ({ problem: "no data" }));
    expect(of({ version: null, estimates })).toEqual({
      missing: "AIConfigurator has no data of it: no data",
    });
  });

  it("where AIConfigurator is not installed, unless it is asked for; and none where it is not wanted", async () => {
    const { said, asked } = recorded("h200-aggregated");
    const questions: unknown[] = [];
    const predictor = (isThere: boolean) => ({
      isThere: () => isThere,
      ask: async (question: unknown) => {
        questions.push(question);
        return said;
      },
    });
    const call = (wanted: boolean | undefined, isThere: boolean, of = target) =>
      predicted(of, measured, wanted, () => undefined, predictor(isThere));
    expect(await call(undefined, false)).toEqual({
      missing: expect.stringMatching(/is not installed; --predict installs it/),
    });
    expect(await call(false, true)).toBeUndefined();
    expect(await call(true, false, { ...target, engine: SIMULATED })).toHaveProperty("missing");
    expect(questions).toEqual([]);
    expect(await call(true, false)).toEqual(predictionIn("h200-aggregated"));
    expect(await call(undefined, true)).toEqual(predictionIn("h200-aggregated"));
    expect(questions).toEqual([asked.question, asked.question]);
  });

  it("where AIConfigurator fails: the measurement stays", async () => {
    const ask = async () => {
      throw new Error("no network\nand a trace");
    };
    const found = await predicted(target, measured, true, () => undefined, { isThere: () => true, ask });
    expect(found).toEqual({ missing: "AIConfigurator failed: no network" });
  });
});

describe("the report", () => {
  const summary = summaryOf("x", 1);
  const prediction = {
    ...predictionIn("h200-aggregated"),
    points: [
      { clients: 1, values: { tokensPerSecondPerGpu: 50, ttftP50: 104, itlP50: 6.25 } },
      { clients: 8, problem: "OOM" },
      { clients: 32, values: { tokensPerSecondPerGpu: 50 }, warning: "the cache is small" },
    ],
  };

  it("has the prediction beside the median, and the difference in per cent", () => {
    const report = runReport({ ...summary, prediction });
    const { engine } = prediction;
    expect(report).toContain(`for 2 × TP1, ${engine} on H200, from data of ${engine} 0.5.14 (deployed is `);
    expect(report).toMatch(/\| clients \| tokens\/s\/GPU \| predicted \| difference \| TTFT p50, ms \|/);
    expect(report).toMatch(/\|\s+1 \|\s+40\.7 \|\s+50\.0 \|\s+-18\.6 % \|\s+52\.0 \|\s+104 \|\s+-50\.0 % \|/);
    expect(report).toMatch(/\|\s+8 \|\s+285 \|\s+\|\s+\|/);
    expect(report).toContain("- 8 clients: OOM\n- 32 clients: the cache is small\n");
  });

  it("has no difference to a prediction of nothing", () => {
    const [first] = prediction.points;
    const values = { ...first?.values, tokensPerSecondPerGpu: 0 };
    const report = runReport({ ...summary, prediction: { ...prediction, points: [{ clients: 1, values }] } });
    expect(report).toMatch(/\|\s+1 \|\s+40\.7 \|\s+0 \|\s+\|\s+52\.0 \|\s+104 \|\s+-50\.0 % \|/);
    expect(report).not.toContain("Infinity");
  });

  it("says in a line why there is none, and of older runs nothing", () => {
    expect(runReport({ ...summary, prediction: { missing: "it rained" } })).toContain(
      "\nNo prediction: it rained.\n",
    );
    expect(runReport(summary)).not.toMatch(/predict/i);
  });
});

describe("a stack's outputs", () => {
  const config = parseConfig({
    model: "m/m",
    placement: "dedicated",
    cluster: { accelerator: "H100" },
    pools: [
      { role: "prefill", replicas: 2 },
      { role: "decode", tensorParallel: 2, expertParallel: 2, accelerator: "H200" },
    ],
  });
  const shown = { endpoint: "http://x", model: "served", chat: "" };

  it("tell how the model is cut, and where", () => {
    const layout = deployedLayout(config);
    expect(targetOf(stackOutputs(shown, { engine: realEngines()[0] ?? "", layout })).layout).toEqual({
      model: "m/m",
      pools: [
        {
          ...{ role: "prefill", replicas: 2, accelerator: "H100" },
          ...{ tensorParallel: 1, dataParallel: 1, pipelineParallel: 1 },
        },
        {
          ...{ role: "decode", replicas: 1, accelerator: "H200", expertParallel: 2 },
          ...{ tensorParallel: 2, dataParallel: 1, pipelineParallel: 1 },
        },
      ],
    });
  });

  it("of an earlier version work without it, and what another version may write there is not read", () => {
    expect(targetOf(stackOutputs(shown)).layout).toBeUndefined();
    expect(targetOf(stackOutputs(shown, { layout: { model: 1 } as never })).layout).toBeUndefined();
  });
});
