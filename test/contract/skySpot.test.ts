/** In which order SkyPilot's own optimizer tries spot and on-demand machines, and what they cost. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { priceQuestions } from "../../components/prices";
import { type ConfigInput, parseConfig } from "../../plan/config";
import { skyAnswer } from "./skyAnswer";
import { SkyCatalog } from "./skyCatalog";

let catalog: SkyCatalog;

beforeAll(async () => {
  catalog = await SkyCatalog.open();
}, 600_000);
afterAll(() => catalog.close());

const P5 = "p5.48xlarge";
const [ZONE_A, ZONE_B] = ["aws/us-east-1/us-east-1a", "aws/us-east-1/us-east-1b"];

const several = (
  spot: NonNullable<ConfigInput["pools"]>[number]["spot"],
  infra: string | string[],
): ConfigInput => ({
  model: "Qwen/Qwen3-8B",
  placement: "dedicated",
  pools: [{ role: "aggregated", replicas: 2, tensorParallel: 8, spot }],
  sky: { infra },
});

describe("SkyPilot's own choice for a replica", () => {
  const BOTH = { use: true, fallback: true };
  const CASES: readonly (readonly [title: string, ConfigInput, readonly unknown[]])[] = [
    [
      "on spot alone is each zone's spot instance, and nothing else",
      several({ use: true }, "aws/us-east-1"),
      [
        [ZONE_A, P5, true],
        [ZONE_B, P5, true],
      ],
    ],
    ["of the base is on demand", several({ use: false }, "aws/us-east-1"), [["aws/us-east-1", P5, false]]],
    [
      "that may fall back is spot first, and on demand where there is none",
      several(BOTH, "aws"),
      [
        [ZONE_A, P5, true],
        [ZONE_B, P5, true],
        ["aws/us-east-1", P5, false],
        ["aws/eu-north-1", P5, false],
      ],
    ],
    [
      "that may fall back at several clouds is spot at each before it is on demand",
      several(BOTH, ["aws", "gcp"]),
      [
        [ZONE_A, P5, true],
        [ZONE_B, P5, true],
        ["gcp/us-central1/us-central1-a", "a3-highgpu-8g", true],
        ["gcp/us-central1/us-central1-a", "a3-highgpu-8g", false],
        ["aws/us-east-1", P5, false],
        ["aws/eu-north-1", P5, false],
      ],
    ],
  ];
  let taken: readonly unknown[];

  beforeAll(async () => {
    const questions = CASES.map(([_title, input]) => priceQuestions(parseConfig(input)).at(-1) ?? "");
    const tasks = questions.map((question): unknown => JSON.parse(question));
    // Each time what it took before has no capacity.
    taken = await skyAnswer<readonly unknown[]>("skySpot.py", tasks, catalog.home);
  }, 240_000);

  it.each(CASES.map(([title, _input, choices], index) => ({ title, choices, index })))(
    "$title",
    ({ choices, index }) => {
      expect(taken[index]).toEqual(choices);
    },
  );
});

describe("SkyPilot's own price", () => {
  it("is that of spot for the replicas on it, and on demand for the others", async () => {
    const cost = await catalog.cost(several({ use: true, onDemandBase: 1 }, "aws/us-east-1"));
    expect(cost.clusters.map(({ spot, dollarsPerHour }) => [spot, dollarsPerHour])).toEqual([
      [undefined, 0.384],
      [undefined, 98.32],
      [true, 29.5],
    ]);
    expect(cost.mostDollarsPerHour).toBe(129.954);
  });

  it("is at most that on demand for those that may fall back", async () => {
    const cost = await catalog.cost(several({ use: true, onDemandBase: 1, fallback: true }, "aws/us-east-1"));
    expect(cost.clusters[2]).toMatchObject({ spot: true, dollarsPerHour: 29.5, mostDollarsPerHour: 98.32 });
  });
});

describe("a spot instance that no catalog has", () => {
  it("is not missed where it may be on demand, and else refused", async () => {
    const asked = async (fallback: boolean) => {
      const input = several({ use: true, fallback }, "aws/eu-north-1");
      const prices = await catalog.prices(priceQuestions(parseConfig(input)));
      return prices.at(-1)?.misses?.map(({ cause }) => cause);
    };
    expect(await asked(true)).toEqual([]);
    expect(await asked(false)).toEqual(["useSpot"]);
  });
});
